// An OpenID provider (panva's oidc-provider) whose only user is "erin"; the pages for development ask who one is.
// Usage: node oidc_provider.mjs PORT CLIENT_ID CLIENT_SECRET REDIRECT_URI
import "./node20.mjs";
import Provider from "oidc-provider";

const [port, clientId, clientSecret, redirectUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
    clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri] }],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    cookies: { keys: ["a key for the tests"] },
    findAccount: (ctx, id) => ({
        accountId: id,
        claims: () => ({ sub: id, name: "Erin", preferred_username: id, email: `${id}@corp.example`, email_verified: true }),
    }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
