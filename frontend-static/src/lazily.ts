/** A component that few visits need: it comes when it is first shown. */

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";

/** After each of these it is asked for again: a phone may have been in a tunnel. */
const AGAIN_MS = [500, 2_000, 5_000, 15_000, 60_000];

/** `useLazily()` gives the component, or null until it has come. */
export function lazily<Props>(load: () => Promise<ComponentType<Props>>): () => ComponentType<Props> | null {
  const held = signal<{ component: ComponentType<Props> } | null>(null);
  const fetch = (tries: number): void => {
    load().then(
      (component) => (held.value = { component }),
      () => {
        if (tries < AGAIN_MS.length) setTimeout(() => fetch(tries + 1), AGAIN_MS[tries]);
      },
    );
  };
  return () => {
    useEffect(() => {
      if (held.value === null) fetch(0);
    }, []);
    return held.value?.component ?? null;
  };
}
