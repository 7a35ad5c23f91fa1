// What must hold of every version of the report's page, looked at from inside a browser. Each check
// gives a list of lines, one for each thing that is wrong.
globalThis.checks = (() => {
  const SLACK = 1; // CSS pixels that rounding may take

  const shown = (element) =>
    element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const style = (element) => getComputedStyle(element);
  const scrolls = (element) => ["auto", "scroll"].includes(style(element).overflowX);

  const describe = (element) => {
    const name = element.getAttribute("class") ? `.${element.getAttribute("class")}` : "";
    const text = element.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
    return `${element.localName}${name} ${JSON.stringify(text)}`;
  };

  const ancestors = function* (element) {
    for (let next = element; next; next = next.parentElement) yield next;
  };
  const scroller = (element) => [...ancestors(element)].find(scrolls);

  // Text for screen readers alone is cut off on purpose.
  const forReaders = (element) =>
    [...ancestors(element)].some((one) => {
      const box = one.getBoundingClientRect();
      const cut = style(one).clipPath !== "none" || style(one).clip !== "auto";
      return cut && box.width <= 2 && box.height <= 2;
    });

  // Every piece of visible HTML text, with the element that it stands in.
  const texts = function* () {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || element.closest("svg, script, style")) continue;
      if (shown(element) && !forReaders(element)) yield [walker.currentNode, element];
    }
  };

  const boxOf = (text) => {
    const range = document.createRange();
    range.selectNodeContents(text);
    return range.getBoundingClientRect();
  };

  const openAll = () => {
    for (const one of document.querySelectorAll("details")) one.open = true;
  };

  // ---------------------------------------------------------------- layout

  const width = (wanted) => {
    const found = [];
    if (innerWidth !== wanted) found.push(`the window is ${innerWidth} wide, not ${wanted}`);
    const { scrollWidth } = document.scrollingElement;
    if (scrollWidth <= wanted) return found;
    found.push(`the page is ${scrollWidth} wide in a window of ${wanted}`);
    for (const element of document.body.querySelectorAll("*")) {
      const parent = element.parentElement;
      const right = element.getBoundingClientRect().right;
      if (right > wanted + SLACK && shown(element) && !scroller(parent) && !element.closest("svg *"))
        found.push(`${describe(element)} ends at ${Math.round(right)}`);
    }
    return found.slice(0, 12);
  };

  const figures = () => {
    const found = [];
    for (const figure of document.querySelectorAll("svg, img")) {
      if (figure.parentElement.closest("svg")) continue;
      const isDecoration = !figure.closest("figure") && figure.closest("[aria-hidden=true], [hidden]");
      if (isDecoration) continue;
      const box = figure.getBoundingClientRect();
      const name = figure.getAttribute("aria-label") ?? figure.getAttribute("alt") ?? describe(figure);
      if (!shown(figure) || box.width < 2 || box.height < 2) {
        found.push(`${name} has no size: ${box.width} x ${box.height}`);
        continue;
      }
      if (figure.localName === "img" && !(figure.complete && figure.naturalWidth))
        found.push(`${name} has no picture`);
      const around = scroller(figure.parentElement) ?? document.scrollingElement;
      const left = around === document.scrollingElement ? 0 : around.getBoundingClientRect().left;
      const start = box.left - left + around.scrollLeft;
      if (start < -SLACK || start + box.width > around.scrollWidth + SLACK)
        found.push(`${name} reaches from ${start} to ${start + box.width} of ${around.scrollWidth}`);
    }
    return found;
  };

  // What is wider than its place must have a place that scrolls, for the mouse and the keyboard.
  const scrolling = () => {
    const found = [];
    for (const table of document.querySelectorAll("table")) {
      const around = scroller(table.parentElement);
      const room = (around ?? document.documentElement).clientWidth;
      if (shown(table) && !around && table.getBoundingClientRect().width > room + SLACK)
        found.push(`${describe(table)} is wider than the page and does not scroll`);
    }
    for (const element of document.body.querySelectorAll("*")) {
      if (!scrolls(element) || element.scrollWidth <= element.clientWidth + SLACK) continue;
      const inside = element.querySelector("a[href], button, input, summary, [tabindex='0']");
      if (element.tabIndex < 0 && !inside)
        found.push(`${describe(element)} scrolls, but no key reaches it`);
      element.scrollLeft = 1e6;
      if (!element.scrollLeft) found.push(`${describe(element)} does not scroll`);
      element.scrollLeft = 0;
    }
    return found;
  };

  const clipped = () => {
    const found = new Set();
    for (const [text, element] of texts()) {
      const box = boxOf(text);
      const around = scroller(element);
      for (const one of ancestors(element)) {
        if (one === around) break;
        const { overflowX, overflowY, display } = style(one);
        const room = one.getBoundingClientRect();
        const wide = box.right > room.right + SLACK || box.left < room.left - SLACK;
        const high = box.bottom > room.bottom + 2 * SLACK || box.top < room.top - 2 * SLACK;
        const cutsX = ["hidden", "clip"].includes(overflowX);
        const cutsY = ["hidden", "clip"].includes(overflowY);
        if ((cutsX && wide) || (cutsY && high)) found.add(`${describe(element)} is cut off`);
        const isBlock = display !== "inline" && display !== "contents";
        if (isBlock && !around && one.scrollWidth > one.clientWidth + SLACK)
          found.add(`${describe(one)}: ${one.scrollWidth} of text in ${one.clientWidth}`);
        if (isBlock) break;
      }
      if (!around && (box.left < -SLACK || box.right > innerWidth + SLACK))
        found.add(`${describe(element)} reaches from ${box.left} to ${box.right}`);
    }
    return [...found];
  };

  // All that is drawn and that no clip path cuts on purpose lies inside its picture.
  const drawing = () => {
    const found = [];
    const shapes = "path, text, use, rect, circle, ellipse, line, polyline, polygon, image";
    for (const svg of document.querySelectorAll("svg")) {
      if (!shown(svg) || svg.parentElement.closest("svg")) continue;
      const room = svg.getBoundingClientRect();
      const scale = Math.max(1, room.width / (svg.viewBox.baseVal?.width || room.width));
      for (const shape of svg.querySelectorAll(shapes)) {
        if (shape.closest("defs, clipPath, symbol, marker, mask, pattern")) continue;
        const chain = [...ancestors(shape)].slice(0, [...ancestors(shape)].indexOf(svg));
        if (chain.some((one) => style(one).clipPath !== "none")) continue;
        const { fill, stroke } = style(shape);
        if (fill === "none" && stroke === "none") continue;
        const box = shape.getBoundingClientRect();
        if (!box.width && !box.height) continue;
        const out = Math.max(
          room.left - box.left, box.right - room.right, room.top - box.top, box.bottom - room.bottom);
        if (out > 2 * scale)
          found.push(`${svg.getAttribute("aria-label")}: ${describe(shape)} is ${out.toFixed(1)} outside`);
      }
    }
    return found;
  };

  // The part of a piece of text that can be seen: what scrolls is cut by its place.
  const visible = (box, element) => {
    let { left, right, top, bottom } = box;
    for (const one of ancestors(element)) {
      if (!scrolls(one) || one === document.body || one === document.documentElement) continue;
      const room = one.getBoundingClientRect();
      [left, right] = [Math.max(left, room.left), Math.min(right, room.right)];
    }
    return { left, right, top, bottom };
  };

  // No two pieces of text stand on each other, neither on the page nor in a picture.
  const overlap = () => {
    const found = new Set();
    const pieces = [];
    for (const [text, element] of texts()) {
      if ([...ancestors(element)].some((one) => style(one).position === "sticky" && style(one).top !== "auto"))
        continue; // it stays in sight above what moves
      const range = document.createRange();
      range.selectNodeContents(text);
      for (const box of range.getClientRects())
        pieces.push({ words: describe(element), element, ...visible(box, element) });
    }
    for (const text of pictureTexts())
      pieces.push({ words: describe(text), element: text, ...visible(text.getBoundingClientRect(), text) });
    pieces.sort((one, other) => one.top - other.top);
    pieces.forEach((one, index) => {
      for (const other of pieces.slice(index + 1)) {
        if (other.top > one.bottom) break;
        const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
        const high = Math.min(one.bottom, other.bottom) - other.top;
        const least = Math.min(one.bottom - one.top, other.bottom - other.top);
        const isTurned = one.element.closest("svg") && least > 30; // upright text has a wide box
        if (one.element !== other.element && !isTurned && wide > 2 && high > 0.35 * least)
          found.add(`${one.words} and ${other.words} overlap by ${wide.toFixed(1)} x ${high.toFixed(1)}`);
      }
    });
    return [...found].slice(0, 12);
  };

  // Text in pictures that nobody could read: smaller than so many CSS pixels.
  const tiny = (least) =>
    pictureTexts()
      .map((text) => {
        const svg = text.closest("svg");
        const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        return [text, parseFloat(style(text).fontSize) * scale];
      })
      .filter(([, size]) => size < least)
      .map(([text, size]) => `${describe(text)} is ${size.toFixed(1)} high`)
      .slice(0, 12);

  // ---------------------------------------------------------------- colours

  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const colours = new Map();

  // Any CSS colour as red, green, blue (0 to 255) and alpha (0 to 1).
  const rgba = (text) => {
    if (!colours.has(text)) {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = text;
      context.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
      colours.set(text, [red, green, blue, alpha / 255]);
    }
    return colours.get(text);
  };
  const over = (top, bottom, alpha) =>
    [0, 1, 2].map((channel) => alpha * top[channel] + (1 - alpha) * bottom[channel]);

  // Relative luminance and contrast as WCAG 2.2 defines them.
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrastOf = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  const canvasColour = () => {
    const probe = document.createElement("div");
    probe.style.backgroundColor = "Canvas";
    document.body.append(probe);
    const colour = rgba(style(probe).backgroundColor);
    probe.remove();
    return colour;
  };

  const behind = (element) => {
    const layers = [];
    for (const one of ancestors(element)) {
      const colour = rgba(style(one).backgroundColor);
      if (colour[3]) layers.push(colour);
      if (colour[3] === 1) break;
    }
    if (!layers.length || layers.at(-1)[3] < 1) layers.push(canvasColour());
    return layers.reduceRight((below, layer) => over(layer, below, layer[3]), [0, 0, 0]);
  };

  // What is too faint, once for each kind of element.
  const faint = () => {
    const found = new Map();
    const note = (element, colour, back) => {
      const { fontSize, fontWeight } = style(element);
      const size = parseFloat(fontSize);
      const needed = size >= 24 || (size >= 18.66 && fontWeight >= 700) ? 3 : 4.5;
      const opacity = [...ancestors(element)].reduce((all, one) => all * style(one).opacity, 1);
      const ratio = contrastOf(over(colour, back, colour[3] * opacity), back);
      if (ratio < needed - 0.005)
        found.set(`${element.localName}.${element.getAttribute("class")} ${ratio.toFixed(2)}`,
          `${describe(element)}: ${ratio.toFixed(2)} of ${needed}`);
    };
    return { note, lines: () => [...found.values()] };
  };

  const contrast = () => {
    const { note, lines } = faint();
    for (const [, element] of texts()) note(element, rgba(style(element).color), behind(element));
    return lines();
  };

  const pictureTexts = () =>
    [...document.querySelectorAll("svg text")].filter(
      (text) => text.checkVisibility() && text.textContent.trim());

  // Without their text, pictures are photographed; gives the height of the page.
  const hidePictureTexts = (hidden) => {
    document.getElementById("without-texts")?.remove();
    if (hidden) {
      const sheet = document.createElement("style");
      sheet.id = "without-texts";
      sheet.textContent = "svg text { visibility: hidden }";
      document.head.append(sheet);
    }
    return document.documentElement.scrollHeight;
  };

  // Text in a picture stands on whatever is drawn there: a photograph of a strip of the page, from
  // which the text was taken away, tells.
  const pictureContrast = async (photograph, top) => {
    const image = new Image();
    image.src = photograph;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const drawn = canvas.getContext("2d", { willReadFrequently: true });
    drawn.drawImage(image, 0, 0);
    const { note, lines } = faint();
    for (const text of pictureTexts()) {
      const box = text.getBoundingClientRect();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      const room = (scroller(text.closest("svg")) ?? document.body).getBoundingClientRect();
      const row = y + scrollY - top;
      const isInSight = x >= Math.max(room.left, 0) && x < Math.min(room.right, image.width);
      if (!isInSight || row < 0 || row >= image.height) continue;
      const [red, green, blue] = drawn.getImageData(x, row, 1, 1).data;
      const { fill, fillOpacity } = style(text);
      const colour = rgba(fill);
      note(text, [...colour.slice(0, 3), colour[3] * fillOpacity], [red, green, blue]);
    }
    return lines();
  };

  // ---------------------------------------------------------------- structure

  const structure = () => {
    const found = [];
    const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(shown);
    const levels = headings.map((heading) => Number(heading.localName[1]));
    if (!document.documentElement.lang) found.push("the page has no language");
    if (!document.title.trim()) found.push("the page has no title");
    if (levels.filter((level) => level === 1).length !== 1) found.push(`h1: ${levels}`);
    if (levels[0] !== 1) found.push(`the first heading is an h${levels[0]}`);
    headings.forEach((heading, index) => {
      if (!heading.textContent.trim()) found.push(`heading ${index} is empty`);
      if (index && levels[index] > levels[index - 1] + 1)
        found.push(`${describe(heading)} follows an h${levels[index - 1]}`);
    });
    const names = [...document.querySelectorAll("[id]")].map((element) => element.id);
    for (const name of new Set(names))
      if (names.indexOf(name) !== names.lastIndexOf(name)) found.push(`two elements are #${name}`);
    for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
      for (const attribute of ["aria-labelledby", "aria-describedby"])
        for (const name of (element.getAttribute(attribute) ?? "").split(/\s+/).filter(Boolean))
          if (!names.includes(name)) found.push(`${describe(element)} is named by #${name}: none`);
    for (const link of document.querySelectorAll("a[href^='#']")) {
      const target = decodeURIComponent(link.getAttribute("href").slice(1));
      if (target && !names.includes(target)) found.push(`${describe(link)} leads nowhere`);
    }
    return found;
  };

  const tables = () => {
    const found = [];
    for (const table of document.querySelectorAll("table")) {
      if (!table.querySelector("th")) found.push(`${describe(table)} has no heading`);
      for (const heading of table.querySelectorAll("th")) {
        if (!["col", "row", "colgroup", "rowgroup"].includes(heading.getAttribute("scope")))
          found.push(`${describe(heading)} of ${describe(table)} has no scope`);
        if (!heading.textContent.trim()) found.push(`a heading of ${describe(table)} is empty`);
      }
      if (!table.tBodies[0]?.rows.length) found.push(`${describe(table)} has no row`);
    }
    return found;
  };

  // ---------------------------------------------------------------- tables that sort, and the keyboard

  const sortable = () => [...document.querySelectorAll("table.sortable")];
  const button = (table, column) => {
    const heading = sortable()[table].tHead.rows[0].cells[column];
    return heading.querySelector("button, [role=button]");
  };
  const numColumns = () => sortable().map((table) => table.tHead.rows[0].cells.length);
  const directions = (table) =>
    [...sortable()[table].tHead.rows[0].cells].map((cell) => cell.getAttribute("aria-sort"));
  const rows = (table) =>
    [...sortable()[table].tBodies[0].rows].map((row) =>
      [...row.cells].map((cell) => cell.textContent.replace(/\s+/g, " ").trim()));

  // What has the focus, and whether that can be seen.
  const focused = () => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const look = () => {
      const { outlineStyle, outlineWidth, boxShadow, borderColor, backgroundColor } = style(element);
      const outline = outlineStyle === "none" ? "" : parseFloat(outlineWidth);
      return [outline || "", boxShadow, borderColor, backgroundColor].join(" ");
    };
    const after = look();
    element.blur();
    const before = look();
    element.focus({ preventScroll: true, focusVisible: true });
    const table = sortable().findIndex((one) => one.tHead?.contains(element));
    const column = table < 0 ? -1 : element.closest("th").cellIndex;
    return { name: describe(element), visible: before !== after, table, column };
  };

  return {
    width, figures, scrolling, clipped, drawing, overlap, tiny, contrast, hidePictureTexts, pictureContrast,
    structure, tables,
    button, numColumns, directions, rows, focused, openAll,
  };
})();
void 0;
