/**
 * The page's one `requestAnimationFrame`. Whatever wants to draw puts itself in; each runs
 * once a frame however often it asked. In a hidden tab no frame comes, so nothing is drawn.
 */
const due = new Set<() => void>();

/** Runs `draw` in the next frame; in this one, if asked for from inside it. */
export function inFrame(draw: () => void): void {
  if (due.size === 0) requestAnimationFrame(run);
  due.add(draw);
}

function run(): void {
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
}

/** Takes back what was asked for. */
export function notInFrame(draw: () => void): void {
  due.delete(draw);
}
