/** The page's one polite live region: finished sentences only. */

import { announced } from "../announce";

export function LiveRegion() {
  return (
    <div class="unseen" role="log" aria-live="polite" aria-atomic="false">
      {announced.value.map((sentence, index) => (
        <p key={`${index}:${sentence}`}>{sentence}</p>
      ))}
    </div>
  );
}
