/** So many rows are shown without scrolling, where the configuration asks for them. */
const MOST = 24;

/** Whether a panel is as high as its rows. */
export const fits = (rows: number | null): boolean => rows !== null && rows <= MOST;
