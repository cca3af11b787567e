/** Colors other than the crops'. */
export interface PictureTheme {
  /** Background without fields. */
  readonly ground: string;
  /** Around maps and charts. */
  readonly panel: string;
  /** Under the scale bar, on top of the map. */
  readonly plate: string;
  readonly grid: string;
  readonly strong: string;
  readonly plain: string;
  readonly faint: string;
}

export type ThemeName = "dark" | "light";

/** Every crop's color is visible on the dark background; the light one is grayed, because grass and hay would vanish on white. */
export const THEMES: Readonly<Record<ThemeName, PictureTheme>> = {
  dark: {
    ground: "#20242a",
    panel: "#181b1f",
    plate: "rgba(24, 27, 31, 0.82)",
    grid: "rgba(255, 255, 255, 0.09)",
    strong: "#f4f1ea",
    plain: "#d5d3cd",
    faint: "#8d949c",
  },
  light: {
    ground: "#e4e8ec",
    panel: "#ffffff",
    plate: "rgba(255, 255, 255, 0.86)",
    grid: "rgba(0, 0, 0, 0.12)",
    strong: "#16191d",
    plain: "#2c3138",
    faint: "#57606b",
  },
};
