import { byId } from "./dom.js";

/** Two tabs, by mouse, or arrow keys when one has the focus. */
export function startTabs(): void {
  const tabs = [byId("tab-legend"), byId("tab-areas")];
  const select = (chosen: HTMLElement) => {
    for (const tab of tabs) {
      const active = tab === chosen;
      tab.setAttribute("aria-selected", String(active));
      tab.tabIndex = active ? 0 : -1;
      byId(tab.getAttribute("aria-controls") as string).hidden = !active;
    }
  };
  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", ({ key }) => {
      if (key !== "ArrowLeft" && key !== "ArrowRight") return;
      const other = tabs[1 - i] as HTMLElement;
      select(other);
      other.focus();
    });
  }
}
