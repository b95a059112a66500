/** Hands a file to the browser to keep. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  // What some file systems do not take.
  link.download = name.replaceAll(/[\\/:*?"<>|\p{Cc}]+/gu, " ").slice(0, 120);
  link.click();
  // Not at once: the browser may still be reading.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
