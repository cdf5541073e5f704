import { expect, test } from "vitest";
import { type RunEvent, readEvents } from "./stream";

function body(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
}

async function read(text: string, size: number): Promise<RunEvent[]> {
  const all: RunEvent[] = [];
  for await (const events of readEvents(body(new TextEncoder().encode(text), size))) all.push(...events);
  return all;
}

const RUN = [
  ": ping",
  'data: {"type":"RUN_STARTED","threadId":"t","runId":"r"}',
  'data: {"type":"RAW","event":{}}',
  'data: {"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"你好 €"}',
  'data: {"type":"RUN_FINISHED","outcome":{"type":"success"}}',
  "",
].join("\n\n");

test.each([1, 3, 64, 4096])("reads the same events from pieces of %i bytes", async (size) => {
  const events = await read(RUN, size);
  expect(events.map(({ type }) => type)).toEqual(["RUN_STARTED", "TEXT_MESSAGE_CONTENT", "RUN_FINISHED"]);
  expect(events[1]).toMatchObject({ delta: "你好 €" });
});

test("events that arrive together come together", async () => {
  const chunks: number[] = [];
  for await (const events of readEvents(body(new TextEncoder().encode(RUN), 4096))) chunks.push(events.length);
  expect(chunks).toEqual([3]);
});

test("broken JSON is an error, not a silent gap", async () => {
  await expect(read("data: {oops\n\n", 64)).rejects.toThrow(SyntaxError);
});
