import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

type Colour = [red: number, green: number, blue: number];

const css = readFileSync(new URL("../../src/tokens.css", import.meta.url), "utf8");

/** A token's colours in linear light, from 0 to 1. */
function token(name: string): { light: Colour; dark: Colour } {
  const [, light, dark] = new RegExp(`--${name}: light-dark\\((#\\w{6}), (#\\w{6})\\)`).exec(css) ?? [];
  if (light === undefined || dark === undefined) throw new Error(`no token ${name}`);
  return { light: linear(light), dark: linear(dark) };
}

const linear = (hex: string): Colour =>
  [1, 3, 5].map((at) => {
    const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as Colour;

const luminance = ([r, g, b]: Colour) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

/** WCAG 2 contrast. */
function contrast(a: Colour, b: Colour): number {
  const [dim, bright] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (bright + 0.05) / (dim + 0.05);
}

const times = (m: readonly number[], [r, g, b]: Colour): Colour =>
  [0, 3, 6].map((at) => (m[at] as number) * r + (m[at + 1] as number) * g + (m[at + 2] as number) * b) as Colour;

/** Distance in OKLab (Ottosson 2020). */
function distance(a: Colour, b: Colour): number {
  const lab = (c: Colour) => {
    const lms = times(
      [
        0.4122214708, 0.5363325363, 0.0514459929, 0.2119034982, 0.6806995451, 0.1073969566, 0.0883024619, 0.2817188376,
        0.6299787005,
      ],
      c.map((v) => Math.max(0, v)) as Colour,
    ).map(Math.cbrt) as Colour;
    return times(
      [
        0.2104542553, 0.793617785, -0.0040720468, 1.9779984951, -2.428592205, 0.4505937099, 0.0259040371, 0.7827717662,
        -0.808675766,
      ],
      lms,
    );
  };
  const [x, y] = [lab(a), lab(b)];
  return Math.hypot(...x.map((v, at) => v - (y[at] as number)));
}

/** How eyes see linear light (Machado, Oliveira, Fernandes 2009, severity 1). */
const EYES = {
  normal: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};

const series = Array.from({ length: 8 }, (_, at) => token(`series-${at + 1}`));

describe.each(["light", "dark"] as const)("the %s tokens", (scheme) => {
  it.each(["text", "muted", "faint", "accent", "ok", "warn", "bad"])("%s can be read on both grounds", (name) => {
    for (const ground of ["bg", "surface"]) {
      expect(contrast(token(name)[scheme], token(ground)[scheme])).toBeGreaterThanOrEqual(4.5);
    }
  });

  it("draw lines that stand out", () => {
    for (const colour of series) expect(contrast(colour[scheme], token("surface")[scheme])).toBeGreaterThanOrEqual(3);
  });

  it.each(Object.entries(EYES))("draw lines that stay apart with %s sight", (_, eyes) => {
    for (const [at, a] of series.entries()) {
      for (const b of series.slice(0, at)) {
        expect(distance(times(eyes, a[scheme]), times(eyes, b[scheme]))).toBeGreaterThanOrEqual(0.1);
      }
    }
  });
});
