const dark = matchMedia("(prefers-color-scheme: dark)");

/** Colors of the map other than the crops', from the style sheet. */
export interface Theme {
  /** Background without fields. */
  readonly ground: string;
  /** Fields whose crop is not shown. */
  readonly fabric: string;
  readonly border: string;
  readonly graticule: string;
  readonly select: string;
  readonly halo: string;
  readonly text: string;
  readonly panel: string;
  /** Lines and names of states and counties. */
  readonly name: string;
}

export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  return {
    ground: color("--ground"),
    fabric: color("--fabric"),
    border: dark.matches ? "rgba(18, 21, 25, 0.65)" : "rgba(40, 46, 54, 0.55)",
    graticule: color("--line"),
    select: "#ffffff",
    halo: "#000000",
    text: color("--soft"),
    panel: color("--panel"),
    name: color("--ink"),
  };
}

export function onThemeChange(listener: () => void): void {
  dark.addEventListener("change", listener);
}
