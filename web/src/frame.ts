/**
 * The page's one `requestAnimationFrame`. Whatever wants to draw puts itself in; each runs
 * once a frame however often it asked. In a hidden tab no frame comes, so nothing is drawn.
 *
 * After a frame the page rests for a few times as long as the frame took: many charts that
 * change twenty times a second would otherwise draw themselves without pause, for moves of
 * less than a pixel. What arrives meanwhile is drawn together.
 */
const due = new Set<() => void>();

/** The page draws for at most one part of its time in so many. */
const PARTS = 7;
/** It never rests longer, in milliseconds. */
const LONGEST_REST = 250;
/** Waiting for a frame is a rest as well. */
const FRAME = 16;

let restsUntil = 0;
let began = 0;

/** Hears of the end of a frame: a message comes after the browser has painted it. */
const painted = new MessageChannel();
painted.port1.onmessage = () => {
  const now = performance.now();
  restsUntil = now + Math.min(LONGEST_REST, (now - began) * (PARTS - 1));
};

/** Runs `draw` in the next frame; in this one, if asked for from inside it. */
export function inFrame(draw: () => void): void {
  if (due.size === 0) askForFrame();
  due.add(draw);
}

function askForFrame(): void {
  const rest = restsUntil - performance.now();
  if (rest <= FRAME) requestAnimationFrame(run);
  else setTimeout(() => requestAnimationFrame(run), rest - FRAME);
}

function run(): void {
  began = performance.now();
  // What is added meanwhile is still visited: rows that arrive are drawn in the same frame.
  for (const draw of due) {
    try {
      draw();
    } catch (error) {
      // One panel that fails must not stop the others.
      reportError(error);
    }
  }
  due.clear();
  painted.port2.postMessage(undefined);
}

/** Takes back what was asked for. */
export function notInFrame(draw: () => void): void {
  due.delete(draw);
}
