/** An answer's text. Settled blocks are rendered once; only the open one is read again. */

import { useMemo } from "preact/hooks";
import { render } from "../markdown";
import type { TextPart } from "../turn";

export function Prose({ part, running }: { part: TextPart; running: boolean }) {
  const { settled, tail } = part.blocks.value;
  return (
    <div class={running ? "prose running" : "prose"}>
      {settled.map((source, index) => (
        <Block key={index} source={source} />
      ))}
      {tail.trim() !== "" && <Block key={settled.length} source={tail} />}
    </div>
  );
}

function Block({ source }: { source: string }) {
  const html = useMemo(() => ({ __html: render(source) }), [source]);
  return <div dangerouslySetInnerHTML={html} />;
}
