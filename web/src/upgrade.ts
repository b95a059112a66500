/**
 * Whether the server has another page than this one: its scripts are named by their content,
 * so a new version names others.
 */
export async function isOutdated(): Promise<boolean> {
  const own = document.querySelector<HTMLScriptElement>('script[type="module"][src]')?.getAttribute("src");
  try {
    const response = await fetch("/", { headers: { accept: "text/html" } });
    // A development server names its script as it is.
    return own != null && response.ok && !(await response.text()).includes(own);
  } catch {
    // It went away again; the next connection asks anew.
    return false;
  }
}
