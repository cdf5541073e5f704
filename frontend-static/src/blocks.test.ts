import { expect, test } from "vitest";
import { type Blocks, grow, NOTHING } from "./blocks";

const TEXT = "# Title\n\nOne *two*\nthree.\n\n- a\n- b\n\n  more b\n- c\n\n```js\nlet x;\n\nlet y;\n```\n\n|a|b|\n|-|-|\n|1|2|\n\nEnd.";

function stream(text: string, size: number): Blocks {
  let blocks = NOTHING;
  for (let at = 0; at < text.length; at += size) blocks = grow(blocks, text.slice(at, at + size));
  return blocks;
}

test.each([1, 2, 5, 13])("pieces of %i settle the same blocks, and lose nothing", (size) => {
  const { settled, tail } = stream(TEXT, size);
  expect(settled.map((raw) => raw.trim().split("\n")[0])).toEqual(["# Title", "One *two*", "- a", "```js", "|a|b|"]);
  expect(tail.trim()).toBe("End.");
  expect(settled.join("").replace(/\s/g, "") + tail.trim()).toBe(TEXT.replace(/\s/g, ""));
});

test("a fence that is still open is not settled", () => {
  const { settled, tail } = stream("Intro.\n\n```py\na\n\nb\n", 3);
  expect(settled.map((raw) => raw.trim())).toEqual(["Intro."]);
  expect(tail).toContain("```py\na\n\nb\n");
});

test("Windows line ends change nothing", () => {
  const { settled, tail } = stream("One.\r\n\r\nTwo.\r\n\r\nThree.", 4);
  expect([...settled.map((raw) => raw.trim()), tail.trim()]).toEqual(["One.", "Two.", "Three."]);
});
