/**
 * Keeps the newest content in sight while it grows, as long as the reader is at the end.
 *
 * Only the reader's own hand leaves the end or comes back to it. A scroll position alone cannot tell:
 * turns out of sight are not laid out, so the height shrinks and grows by itself, and the browser
 * moves along with it.
 */

/** Nearer to the end than this many pixels counts as reading along. */
const NEAR_END = 120;
const KEYS_UP = ["ArrowUp", "PageUp", "Home"];
const KEYS_DOWN = ["ArrowDown", "PageDown", "End", " "];

/** Where the reader last moved: with the bar it can be either way. */
type Hand = "up" | "down" | "bar";

export interface Following {
  /** Goes to the end and stays there: the reader has just said something. */
  toEnd(): void;
  stop(): void;
}

/** Follows `content` inside the element that scrolls it. */
export function follow(content: HTMLElement): Following {
  const scroller = content.parentElement;
  if (scroller === null) throw new Error("what is followed must stand in what scrolls");
  let along = true;
  let hand: Hand = "down";
  const ends = new AbortController();
  const down = () => (scroller.scrollTop = scroller.scrollHeight);
  const look = () => {
    const near = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END;
    if (hand === "bar") along = near;
    else if (hand === "down" && near) along = true;
  };
  watchHand(scroller, ends.signal, (moved) => {
    hand = moved;
    if (moved === "up") along = false;
    else look();
  });
  const observer = new ResizeObserver(() => along && down());
  scroller.addEventListener("scroll", look, { passive: true, signal: ends.signal });
  observer.observe(content);
  return {
    toEnd: () => {
      along = true;
      hand = "down";
      down();
    },
    stop: () => {
      ends.abort();
      observer.disconnect();
    },
  };
}

/** Tells each move of the reader: by wheel, finger, key or scroll bar. */
function watchHand(scroller: HTMLElement, signal: AbortSignal, moves: (hand: Hand) => void): void {
  const quietly = { passive: true, signal };
  let finger = 0;
  const touched = (event: TouchEvent) => event.touches[0]?.clientY ?? finger;
  scroller.addEventListener(
    "wheel",
    (event) => event.deltaY !== 0 && moves(event.deltaY < 0 ? "up" : "down"),
    quietly,
  );
  scroller.addEventListener("touchstart", (event) => (finger = touched(event)), quietly);
  scroller.addEventListener(
    "touchmove",
    (event) => {
      if (touched(event) !== finger) moves(touched(event) > finger ? "up" : "down");
      finger = touched(event);
    },
    quietly,
  );
  scroller.addEventListener(
    "keydown",
    (event) => {
      if (KEYS_UP.includes(event.key) || (event.key === "Tab" && event.shiftKey)) moves("up");
      else if (KEYS_DOWN.includes(event.key)) moves("down");
    },
    quietly,
  );
  scroller.addEventListener(
    "pointerdown",
    (event) => {
      if (event.target === scroller && event.offsetX >= scroller.clientWidth) moves("bar");
    },
    quietly,
  );
}
