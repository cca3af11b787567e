/** The element with this id; it exists in the page's HTML. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element ${id}`);
  return element as T;
}

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A new element. Text children stay text: data is never parsed as HTML. */
export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

export function makeSvg<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

/** False and undefined omit the attribute, true sets it empty. */
function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** A small square in a crop's color; without a color for no crop. */
export function chip(color: string | undefined, double = false): HTMLElement {
  const element = make("span", {
    class: `chip${color === undefined ? " none" : double ? " double" : ""}`,
    "aria-hidden": "true",
  });
  if (color !== undefined) element.style.backgroundColor = color;
  return element;
}

/** Announce a text to screen readers. */
export function announce(text: string): void {
  byId("live").textContent = text;
}
