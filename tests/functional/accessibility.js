"use strict";

// What accessibility.py asks a page. Each function returns lines, or what its comment says.
var accessibility = (() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const show = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 90);

  // 1.1.1 alt, 1.3.1 structure, 1.4.4 zoom, 2.4.2 title, 2.4.3 order, 3.1.1 language, 4.1.2 references.
  function structure() {
    const found = [];
    const check = (right, what) => right || found.push(what);
    check(document.documentElement.lang, "the page has no language");
    check(document.title.trim(), "the page has no title");
    const viewport = document.querySelector("meta[name=viewport]")?.content;
    check(!/user-scalable=no|maximum-scale/.test(viewport), "zooming is off");
    for (const selector of ["main", "h1"]) {
      check(all(selector).length === 1, `${all(selector).length} elements ${selector}`);
    }
    const ids = all("[id]").map((element) => element.id);
    for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) found.push(`the id ${id} is there twice`);
    for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
      for (const element of all(`[${name}]`)) {
        for (const id of element.getAttribute(name).split(/\s+/)) {
          check(document.getElementById(id), `${name} names nothing: ${show(element)}`);
        }
      }
    }
    for (const image of all("img:not([alt])")) found.push(`no alt: ${show(image)}`);
    for (const element of all("[tabindex]")) check(element.tabIndex <= 0, `out of order: ${show(element)}`);
    let level = 0;
    for (const heading of all("h1, h2, h3, h4, h5, h6").filter((one) => one.checkVisibility())) {
      const own = Number(heading.tagName[1]);
      check(own <= level + 1, `a level of headings is skipped: ${show(heading)}`);
      level = own;
    }
    for (const table of all("table")) check(table.querySelector("th"), `a table without headings: ${show(table)}`);
    return found;
  }

  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  // Red, green, blue and alpha, 0 to 255, of any CSS colour.
  function rgba(colour) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  }

  function over(top, below) {
    return [0, 1, 2].map((channel) => (top[channel] * top[3] + below[channel] * (255 - top[3])) / 255);
  }

  function background(element) {
    if (!element) return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
    return over(rgba(getComputedStyle(element).backgroundColor), background(element.parentElement));
  }

  // WCAG 2.2, relative luminance.
  function luminance(colour) {
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const [red, green, blue] = colour.map((value) => linear(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  // 1.4.3; large text is 24 pixels, or 18.66 in bold.
  function contrast() {
    const found = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
      const visible = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
      if (!text || !visible || element.closest("script, style, title")) continue;
      const style = getComputedStyle(element), ground = background(element);
      const colour = over(rgba(element instanceof SVGElement ? style.fill : style.color), ground);
      const [low, high] = [luminance(colour), luminance(ground)].sort((one, other) => one - other);
      const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < (large ? 3 : 4.5)) found.add(`contrast ${ratio.toFixed(2)}: ${text.slice(0, 60)}`);
    }
    return [...found];
  }

  function start() {
    // The tab key goes on from where the focus was last.
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    scrollTo(0, 0);
    for (const element of all("[data-reached]")) delete element.dataset.reached;
  }

  // Return null at the end of the page, or whether the focus was here before, whether it shows, and on what it is.
  function focus() {
    const element = document.activeElement;
    if (element === document.body || element === document.documentElement) return null;
    const style = getComputedStyle(element);
    const again = element.dataset.reached === "yes";
    element.dataset.reached = "yes";
    // The browser's own ring is of style auto.
    const outlined = style.outlineStyle === "auto" || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
    return { again, shown: outlined || style.boxShadow !== "none", name: show(element) };
  }

  function unreached() {
    return all("a[href], button, input, select, textarea, summary, [tabindex='0']")
      .filter((one) => one.checkVisibility() && !one.disabled && one.type !== "hidden" && one.dataset.reached !== "yes")
      .map(show);
  }

  return { structure, contrast, start, focus, unreached };
})();
