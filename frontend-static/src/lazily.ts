/** A component that few visits need: it comes when it is first shown. */

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";

/** `useLazily()` gives the component, or null until it has come. */
export function lazily<Props>(load: () => Promise<ComponentType<Props>>): () => ComponentType<Props> | null {
  const held = signal<{ component: ComponentType<Props> } | null>(null);
  return () => {
    useEffect(() => {
      if (held.value === null) void load().then((component) => (held.value = { component }));
    }, []);
    return held.value?.component ?? null;
  };
}
