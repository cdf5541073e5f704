/** A deed about money as words to press; why it was refused stands beside them. */

import { useAttempt } from "../attempt";
import { settling } from "../billing";

/** Nothing more is begun while a payment is on its way. */
export function Act({ words, act }: { words: string; act: () => Promise<void> }) {
  const { fault, attempt } = useAttempt();
  return (
    <>
      <button type="button" class="link" disabled={settling.value} onClick={() => void attempt(act)}>
        {words}
      </button>
      {fault.value && <span role="alert"> {fault.value}</span>}
    </>
  );
}
