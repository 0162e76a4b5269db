// matrix-js-sdk is written for node 22 and browsers; node 20 lacks this one function of the language.
Promise.withResolvers ??= function () {
    const parts = {};
    parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
};
