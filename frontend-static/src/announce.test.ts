import { expect, test } from "vitest";
import { Announcer, announced, plain, splitSentences } from "./announce";

test("only finished sentences are complete", () => {
  expect(splitSentences("It costs 3.50 now. And")).toEqual({ complete: "It costs 3.50 now. ", rest: "And" });
  expect(splitSentences("你好。再")).toEqual({ complete: "你好。", rest: "再" });
  expect(splitSentences("no end")).toEqual({ complete: "", rest: "no end" });
});

test("Markdown marks are not read aloud", () => {
  expect(plain("## A **bold** [link](https://x.invalid)\n- `code`")).toBe("A bold link code");
});

test("an answer is heard once, sentence by sentence, to its end", () => {
  announced.value = [];
  const announcer = new Announcer();
  for (const piece of ["Red len", "tils. They ", "are soft! Eno", "ugh"]) announcer.push(piece);
  expect(announced.value).toEqual(["Red lentils.", "They are soft!"]);
  announcer.finish();
  expect(announced.value).toEqual(["Red lentils.", "They are soft!", "Enough"]);
});
