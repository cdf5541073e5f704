/** Who is here: the session cookie's person, their allowance and their conversations. */

import { call, Problem } from "./api";
import { door, effort, me, quota } from "./state";
import type { BackOffice, Me, Quota } from "./wire";

/** A person, or the role of a key that has a page of its own. */
async function whoIsHere(): Promise<Me | BackOffice> {
  const who = await call<Me | { role: BackOffice }>("GET", "/api/me");
  return "id" in who ? who : who.role;
}

/** Finds out who is signed in. True when a person is. */
export async function recall(): Promise<boolean> {
  try {
    const who = await whoIsHere();
    if (typeof who === "string") {
      me.value = null;
      door.value = who;
      return false;
    }
    me.value = who;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    door.value = error.status === 401 || error.status === 403 ? "closed" : "broken";
    return false;
  }
  effort.value = me.value.preferences?.effort ?? "auto";
  await sayWhere();
  await refreshQuota();
  door.value = "open";
  return true;
}

/** An allowance by the day counts the person's own days: the first page to meet them says where. */
async function sayWhere(): Promise<void> {
  const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (me.value?.preferences?.timezone !== null || !timezone) return;
  try {
    await call("PUT", "/api/me/preferences", { body: { timezone } });
  } catch (error) {
    // A zone that the server does not know: the days stay those of UTC.
    if (!(error instanceof Problem)) throw error;
  }
}

/** A guest when `key` is empty. Throws `Problem` when the key is refused. */
export async function signIn(key: string): Promise<void> {
  await call("POST", "/api/session", { body: key === "" ? {} : { key } });
}

/** Throws `Problem`: 401 for a wrong pair. What a guest said here moves to the account. */
export async function enterAccount(email: string, password: string): Promise<void> {
  await call("POST", "/api/session", { body: { email, password } });
}

/** A guest's session becomes an account's. Throws `Problem`, such as 409 for a known address. */
export async function createAccount(email: string, password: string): Promise<void> {
  await call("POST", "/api/account", { body: { email, password } });
}

export async function signOut(): Promise<void> {
  await call("DELETE", "/api/session");
  me.value = null;
  quota.value = null;
  door.value = "closed";
}

export async function refreshQuota(): Promise<void> {
  try {
    quota.value = await call<Quota>("GET", "/api/quota");
  } catch (error) {
    // The meter then keeps what it last knew; the next turn brings a fresh one anyway.
    if (!(error instanceof Problem)) throw error;
  }
}

/** The plan, and what must be said about it, as they are now. */
export async function refreshPerson(): Promise<void> {
  try {
    const who = await whoIsHere();
    if (typeof who !== "string") me.value = who;
  } catch (error) {
    // What was known stays on the page; whoever waits for more asks again.
    if (!(error instanceof Problem)) throw error;
  }
}
