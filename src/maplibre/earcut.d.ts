/** The build puts earcut's module next to the worker: browsers' workers know no import maps. */
export { default } from "earcut";
