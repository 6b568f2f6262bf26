// Draws one page. Standard input: {modules, browser, environment, html, width, scale, picture}; standard output:
// {diagrams: [{text, svg, error}], asked: [URL]}, where `asked` is what the page wanted from elsewhere and did not get.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const order = JSON.parse(readFileSync(0, "utf8"));
const puppeteer = createRequire(join(order.modules, "package.json"))("puppeteer-core");
const module = (name) => join(order.modules, "node_modules", name);

const emoji = readFileSync(module("twemoji-colr-font/twemoji.woff2")).toString("base64");
const style = `
  @font-face { font-family: Emoji; src: url(data:font/woff2;base64,${emoji}); }
  body { margin: 0; background: white; }
  .markdown-body { padding: 24px 32px; font-family: "Open Sans", "Liberation Sans", sans-serif, Emoji; }
  .markdown-body code { font-family: "DejaVu Sans Mono", monospace, Emoji; }
  .drawn { margin-bottom: 16px; text-align: center; }
`;

const browser = await puppeteer.launch({
  executablePath: order.browser,
  headless: "shell",
  // The page is ours and reaches nothing; the sandbox is not to be had for root, nor in most containers.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-lcd-text", "--font-render-hinting=none"],
  env: { ...process.env, ...order.environment },
  protocolTimeout: 120_000,
});
try {
  const page = await browser.newPage();
  const asked = [];
  await page.setRequestInterception(true);
  page.on("request", (request) => {
    if (/^(data|about|blob):/.test(request.url())) {
      request.continue();
    } else {
      asked.push(request.url());
      request.abort();
    }
  });
  await page.setViewport({ width: order.width, height: 600, deviceScaleFactor: order.scale });
  await page.setContent('<!doctype html><meta charset="utf-8"><article class="markdown-body"></article>');
  await page.addStyleTag({ path: module("github-markdown-css/github-markdown-light.css") });
  await page.addStyleTag({ content: style });
  await page.addScriptTag({ path: module("mermaid/dist/mermaid.min.js") });
  const diagrams = await page.evaluate(async (html) => {
    // Before there is text: a letter that was drawn without its font stays as it is.
    await document.fonts.load("16px Emoji", "\u274c");
    document.querySelector("article").innerHTML = html;
    mermaid.initialize({ startOnLoad: false, securityLevel: "strict" });
    const drawn = [];
    for (const [index, block] of document.querySelectorAll('pre[lang="mermaid"]').entries()) {
      const place = document.createElement("div");
      place.className = "drawn";
      block.replaceWith(place);
      const text = block.textContent;
      try {
        const { svg } = await mermaid.render(`diagram${index}`, text, place);
        place.innerHTML = svg;
        drawn.push({ text, svg, words: [...place.querySelectorAll("text")].map((word) => word.textContent), error: "" });
      } catch (error) {
        drawn.push({ text, svg: "", words: [], error: String(error) });
      }
    }
    return drawn;
  }, order.html);
  if (order.picture) {
    await page.screenshot({ path: order.picture, fullPage: true });
  }
  process.stdout.write(JSON.stringify({ diagrams, asked }));
} finally {
  await browser.close();
}
