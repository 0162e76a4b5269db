// The whole Hydrogen client, put together from the parts that hydrogen-view-sdk exports; the server is in the address (?on=...).
import { FeatureSet, Platform, RootViewModel, createNavigation, createRouter } from "hydrogen-view-sdk";

const assetPaths = {
    downloadSandbox: "/hydrogen-view-sdk/asset-build/assets/download-sandbox.html",
    worker: "/hydrogen-view-sdk/asset-build/assets/main.js",
    olm: { wasm: "/olm/olm.wasm", legacyBundle: "/olm/olm_legacy.js", wasmBundle: "/olm/olm.js" },
    serviceWorker: "/sw.js",
};
const config = { defaultHomeServer: new URLSearchParams(location.search).get("on") };
const platform = new Platform({ container: document.body, assetPaths, config, options: { development: false } });
const navigation = createNavigation();
platform.setNavigation(navigation);
await platform.init();
const urlRouter = createRouter({ navigation, history: platform.history });
urlRouter.attach();
const features = await FeatureSet.load(platform.settingsStorage);
const model = new RootViewModel({ platform, urlRouter, navigation, features });
await model.load();
platform.createAndMountRootView(model);
