// Takes the README's picture of the demo, of its cookies and keys: node screenshot.mjs FILE.
import { Demo, Tab, end, launch } from './setup.mjs';

const browser = await launch();
const demo = await Demo.start('-name', 'demo');
const tab = await Tab.open(browser.defaultBrowserContext());
await tab.page.setViewport({ width: 1120, height: 1000, deviceScaleFactor: 1.5 });
await tab.go(demo.url);
await tab.login('Ada');
for (let i = 0; i < 4; i++) await tab.press('button[value=more]');
await tab.press('form[action="/rotate"] button');
const [cookies, keys] = await Promise.all(['#cookies', '#keys'].map(async (card) => (await tab.page.$(card)).boundingBox()));
const margin = 14;
const top = await tab.page.evaluate(() => scrollY);
await tab.page.screenshot({
  path: process.argv[2],
  captureBeyondViewport: true,
  clip: {
    x: cookies.x - margin,
    y: top + cookies.y - margin,
    width: cookies.width + 2 * margin,
    height: keys.y + keys.height - cookies.y + 2 * margin,
  },
});
await end();
