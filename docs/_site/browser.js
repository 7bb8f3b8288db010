// What browser.py asks a page.

window.siteChecks = {
  // Typesetting is over.
  typeset: () => !window.MathJax || MathJax.startup.promise.then(() => true),

  // Mathematics that is shown as it was written, that could not be read, or that became emphasis
  // because it has two underscores or asterisks.
  mathematics: () => {
    const raw = [...document.querySelectorAll("article .math, article p, article li")].map(
      (element) => {
        const copy = element.cloneNode(true);
        copy.querySelectorAll("mjx-container, code, pre, script").forEach((e) => e.remove());
        return copy.textContent;
      },
    );
    const wrong = [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(
      (element) => element.getAttribute("data-mjx-error") || element.textContent,
    );
    const emphasis = [...document.querySelectorAll("article em")].map((e) => e.textContent);
    return raw
      .filter((text) => /\$\$|\\\(|\\\[|\\frac|\\sum/.test(text))
      .concat(wrong, emphasis.filter((text) => /[‖≤≥]/.test(text)));
  },

  // What is wider than the window.
  tooWide: () => {
    const width = document.documentElement.clientWidth;
    const pages = [document.documentElement, ...document.querySelectorAll(".content")];
    if (pages.every((page) => page.scrollWidth <= page.clientWidth + 1)) return [];
    const scrolls = (element) => getComputedStyle(element).overflowX !== "visible";
    const isFree = (element) =>
      !element.parentElement.closest("article") ||
      element.matches("article") ||
      (!scrolls(element.parentElement) && isFree(element.parentElement));
    return [...document.querySelectorAll("article *")]
      .filter((e) => e.getBoundingClientRect().right > width + 1 && isFree(e))
      .slice(0, 3)
      .map((e) => `${e.tagName.toLowerCase()} ${e.textContent.trim().slice(0, 40)}`)
      .concat("the page scrolls sideways");
  },

  // Text that hardly differs from what is behind it: contrast as WCAG 2 defines it, which asks for
  // 3 of large text and 4.5 of small; 3 for all, as highlighting dims comments.
  faint: () => {
    const numbers = (colour) => (colour.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const luminance = (colour) =>
      colour
        .slice(0, 3)
        .map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
    const behind = (element) => {
      for (let e = element; e; e = e.parentElement) {
        const colour = numbers(getComputedStyle(e).backgroundColor);
        if (colour.length < 4 || colour[3] > 0.5) return colour;
      }
      return [255, 255, 255];
    };
    const walker = document.createTreeWalker(document.querySelector("article") || document.body, 4);
    const faint = new Set();
    for (let node; (node = walker.nextNode()); ) {
      const element = node.parentElement;
      if (!node.textContent.trim() || !element.getClientRects().length) continue;
      const [a, b] = [numbers(getComputedStyle(element).color), behind(element)].map(luminance);
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (contrast < 3) faint.add(`${node.textContent.trim().slice(0, 30)} (${contrast.toFixed(1)})`);
    }
    return [...faint].slice(0, 3);
  },
};
