// @ts-check
export * from "./bundle.js";
export * from "./certificate.js";
export * from "./cbor.js";
export * from "./delay.js";
export * from "./event.js";
export * from "./footprint.js";
export * from "./key.js";
export * from "./log/bytes.js";
export * from "./log/checkpoint.js";
export * from "./log/tree.js";
export * from "./sealed.js";
export * from "./search.js";
