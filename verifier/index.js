// @ts-check
export * from "./bytes.js";
export * from "./cbor.js";
export * from "./checkpoint.js";
export * from "./event.js";
export * from "./footprint.js";
export * from "./merkle.js";
export * from "./note.js";
