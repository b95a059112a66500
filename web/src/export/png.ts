import { isDark } from "../theme.ts";

/** In milliseconds. */
const FONT_TIME = 200;

/**
 * A picture of an element as it is shown. The browser draws it: as part of an SVG, which may
 * load nothing, so style sheets, font and canvases are put into it.
 *
 * @throws where the browser refuses to give such a picture back (Safari does).
 */
export async function pngOf(element: HTMLElement): Promise<Blob> {
  const { width, height } = visibleBox(element);
  const copy = element.cloneNode(true) as HTMLElement;
  for (const left of copy.querySelectorAll(".full, .unseen")) left.remove();
  const drawn = element.querySelectorAll("canvas");
  for (const [at, canvas] of [...copy.querySelectorAll("canvas")].entries()) {
    const image = document.createElement("img");
    image.src = drawn[at]?.toDataURL() ?? "";
    image.style.width = "100%";
    image.style.height = "100%";
    canvas.replaceWith(image);
  }
  copy.style.width = `${width}px`;
  copy.style.height = `${height}px`;
  copy.style.minHeight = "0";
  const body = document.createElement("body");
  const style = document.createElement("style");
  style.textContent = await styles();
  body.append(style, copy);
  const inside = new XMLSerializer().serializeToString(body);
  const theme = isDark() ? "dark" : "light";
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" data-theme="${theme}"><foreignObject width="100%" height="100%">${inside}</foreignObject></svg>`;

  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  // A font inside an image is taken up only after the image counts as there.
  await new Promise((resolve) => setTimeout(resolve, FONT_TIME));
  const ratio = Math.max(2, devicePixelRatio);
  const canvas = document.createElement("canvas");
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob === null ? reject(new Error("the picture is empty")) : resolve(blob))),
  );
}

/** The box of a panel without what stands below it only while it fills the page. */
function visibleBox(element: HTMLElement): { width: number; height: number } {
  const { width, height } = element.getBoundingClientRect();
  const below = element.querySelector(".full")?.getBoundingClientRect().height ?? 0;
  return { width: Math.round(width), height: Math.round(height - below) };
}

/**
 * The page's style sheets, with the fonts they name inside. As they were written: a browser
 * that is asked for its rules leaves out shorthands with variables.
 */
async function styles(): Promise<string> {
  const sheets = [...document.querySelectorAll<HTMLLinkElement | HTMLStyleElement>("link[rel=stylesheet], style")];
  const texts = sheets.map((sheet) =>
    sheet instanceof HTMLLinkElement
      ? fetch(sheet.href).then((response) => response.text())
      : (sheet.textContent ?? ""),
  );
  let whole = (await Promise.all(texts)).join("\n");
  const fonts = [...whole.matchAll(/url\("?([^")]+\.woff2)"?\)/g)].map((match) => match[1] ?? "");
  for (const path of new Set(fonts)) {
    const file = await fetch(new URL(path, document.baseURI)).then((response) => response.blob());
    whole = whole.replaceAll(path, await dataUrl(file));
  }
  return whole;
}

function dataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
