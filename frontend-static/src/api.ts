/** One way to call the server: JSON in and out, problem documents as typed errors. */

import { randomId } from "./ids";

/** What went wrong, in the server's words. `status` 0: no answer came at all. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    /** The whole problem document: some carry more, such as the new checkout. */
    readonly document: Record<string, unknown> = {},
  ) {
    super(detail);
  }
}

interface Options {
  body?: unknown;
  /** Idempotency-Key; a fresh one when unset. Pass your own wherever you may have to repeat. */
  key?: string;
  signal?: AbortSignal;
  accept?: string;
}

type Method = "GET" | "POST" | "PUT" | "DELETE";

export async function call<T>(method: Method, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  return (response.status === 204 ? null : await response.json()) as T;
}

/** The raw answer, once it is known not to be a refusal. */
export async function send(method: Method, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: options.accept ?? "application/json" };
  if (method !== "GET") headers["idempotency-key"] = options.key ?? randomId();
  const request: RequestInit = { method, headers, credentials: "same-origin" };
  if (options.signal) request.signal = options.signal;
  if (options.body !== undefined) {
    headers["content-type"] = "application/json";
    request.body = JSON.stringify(options.body);
  }
  let response: Response;
  try {
    response = await fetch(path, request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "no_answer", "");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response: Response): Promise<Problem> {
  let document: Record<string, unknown> = {};
  try {
    document = (await response.json()) as Record<string, unknown>;
  } catch {
    // A proxy's HTML page says nothing worth showing.
  }
  const word = (name: string) => (typeof document[name] === "string" ? document[name] : "");
  return new Problem(response.status, word("code"), word("detail") || word("title"), document);
}
