/** JSON Patch (RFC 6902) on plain JSON. Never changes its input, so signals see every change. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Operation {
  op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  path: string;
  from?: string;
  value?: Json;
}

export class PatchError extends Error {}

export function applyPatch(document: Json, operations: readonly Operation[]): Json {
  return operations.reduce(applyOne, document);
}

function applyOne(document: Json, operation: Operation): Json {
  const path = pointer(operation.path);
  switch (operation.op) {
    case "add":
      return edit(document, path, (holder, key) => put(holder, key, operation.value ?? null, true));
    case "replace":
      read(document, path);
      return edit(document, path, (holder, key) => put(holder, key, operation.value ?? null, false));
    case "remove":
      read(document, path);
      return edit(document, path, drop);
    case "copy":
    case "move": {
      const from = pointer(operation.from ?? "");
      const value = read(document, from);
      const rest = operation.op === "move" ? edit(document, from, drop) : document;
      return edit(rest, path, (holder, key) => put(holder, key, value, true));
    }
    case "test":
      if (canonical(read(document, path)) !== canonical(operation.value ?? null)) {
        throw new PatchError(`test failed at ${operation.path}`);
      }
      return document;
    default:
      throw new PatchError(`unknown operation ${String(operation.op)}`);
  }
}

function pointer(text: string): string[] {
  if (text === "") return [];
  if (!text.startsWith("/")) throw new PatchError(`not a JSON pointer: ${text}`);
  return text
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

type Holder = Json[] | { [key: string]: Json };

function isHolder(value: Json | undefined): value is Holder {
  return typeof value === "object" && value !== null;
}

function member(holder: Json | undefined, key: string): Json {
  // Own members only: a path such as /__proto__ must find nothing.
  if (!isHolder(holder) || !Object.hasOwn(holder, key) || (Array.isArray(holder) && key === "length")) {
    throw new PatchError(`nothing at ${key}`);
  }
  return (holder as { [key: string]: Json })[key] as Json;
}

function read(document: Json, path: readonly string[]): Json {
  return path.reduce<Json>(member, document);
}

/** A copy of `document` along `path`, with its last holder given to `change`. */
function edit(
  document: Json,
  path: readonly string[],
  change: (holder: Holder, key: string | null) => Json,
): Json {
  const [key, ...rest] = path;
  if (key === undefined) return change({ "": document }, null);
  if (!isHolder(document)) throw new PatchError(`nothing to change at ${key}`);
  const copy: Holder = Array.isArray(document) ? [...document] : { ...document };
  if (rest.length === 0) return change(copy, key);
  const inner = edit(member(copy, key), rest, change);
  return put(copy, key, inner, false);
}

function put(holder: Holder, key: string | null, value: Json, insert: boolean): Json {
  if (key === null) return value;
  if (Array.isArray(holder)) {
    const index = key === "-" ? holder.length : position(key, holder.length);
    holder.splice(index, insert ? 0 : 1, value);
    return holder;
  }
  // An own data property whatever the name is, so that "__proto__" stays a name.
  Object.defineProperty(holder, key, { value, enumerable: true, writable: true, configurable: true });
  return holder;
}

function drop(holder: Holder, key: string | null): Json {
  if (key === null) return null;
  if (Array.isArray(holder)) holder.splice(position(key, holder.length - 1), 1);
  else delete holder[key];
  return holder;
}

function position(key: string, last: number): number {
  const index = /^(0|[1-9]\d*)$/.test(key) ? Number(key) : -1;
  if (index < 0 || index > last) throw new PatchError(`no place ${key} in the list`);
  return index;
}

function canonical(value: Json): string {
  return JSON.stringify(value, (_key, inner: Json) =>
    isHolder(inner) && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
