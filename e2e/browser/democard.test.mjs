// The demo's device card, in Chromium 150, which binds sessions with keys in software, or, without BINDS, in browsers that
// bind none: BROWSER is chrome or firefox.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Demo, Tab, end, eventually, held, launch } from './setup.mjs';

const binds = Boolean(process.env.BINDS);
let browser;
let demo;

before(async () => {
  browser = await launch({ binds });
  demo = await Demo.start('-name', 'robbed');
  demo.url = demo.url.replace('127.0.0.1', 'localhost');
  console.log(`${await browser.version()}`);
});

after(end);

// copies returns what the card says of each stolen copy: [['The whole jar', 'still accepted'], …]
const copies = (tab) => tab.page.$$eval('#device-loot li', (all) =>
  all.map((li) => [li.querySelector('strong').textContent, li.querySelector('.tag').textContent]));

const tries = async (tab) => Number((await tab.text('#device-loot .tries'))?.match(/\d+/)[0]);

// quiet fails if the page has complained, or shows a cookie that it must not.
async function quiet(tab) {
  assert.deepEqual(tab.complaints, []);
  const html = await tab.page.content();
  for (const c of await held(tab.context)) assert.ok(c.value.length < 20 || !html.includes(c.value), `${c.name} is on the page`);
}

const bound = ['the card becomes bound by itself, and the stripped copies are refused at once', async (t) => {
  const tab = await Tab.open(browser.defaultBrowserContext(), demo.url);
  assert.match(await tab.text('#device-state'), /^not bound A session is bound when somebody logs in/);
  await tab.login('Ada');
  await eventually('the card says that the session is bound', async () => /^bound/.test(await tab.text('#device-state')));
  assert.match(await tab.text('#device-facts code'), /^[0-9a-f]{32}$/);
  const left = () => tab.text('#device-facts [data-seconds]');
  assert.match(await left(), /^1[01] min|^9 min/);
  const first = await left();
  await eventually('the time left runs down', async () => await left() !== first);

  await tab.press('form[action="/steal"] button');
  assert.match(await tab.text('#notice'), /^The thief has a copy/);
  const stripped = [['Without .proof', 'refused: unproven'], ['Without .device', 'refused: unproven']];
  assert.deepEqual(await copies(tab), [['The whole jar', 'still accepted'], ...stripped]);
  assert.match(await tab.text('#device-loot .bytes'), /^refused in (11|10|9) min/);
  await eventually('he tries again', async () => await tries(tab) > 2);
  assert.deepEqual((await copies(tab)).slice(1), stripped);
  t.diagnostic(`${await tab.text('#device-facts')}; ${await tab.text('#device-loot')}`);

  await tab.press('form[action="/logout"] button');
  assert.equal((await tab.session()).user, '');
  assert.match(await tab.text('#device-state'), /^not bound/);
  assert.deepEqual(await copies(tab), [['The whole jar', 'still accepted'], ...stripped], 'a logout ends the session in this browser');
  await quiet(tab);
}];

const permitted = ['the card says that the browser has registered no key, and the whole copy works', async (t) => {
  const tab = await Tab.open(browser.defaultBrowserContext(), demo.url);
  await tab.login('Ada');
  assert.match(await tab.text('#device-state'), /^not bound yet/);
  await tab.press('form[action="/steal"] button');
  assert.deepEqual(await copies(tab), [['The whole jar', 'still accepted'], ['Without .device', 'refused: unproven']]);
  assert.match(await tab.text('#device-loot .bytes'), /^for 23 h 59 min more$/);
  await eventually('he tries again', async () => await tries(tab) > 2);
  await tab.page.waitForFunction(() => /^not bound This browser hasn’t registered a key/.test(document.querySelector('#device-state').textContent.trim()), { timeout: 30_000 });
  assert.deepEqual(await copies(tab), [['The whole jar', 'still accepted'], ['Without .device', 'refused: unproven']]);
  t.diagnostic(await tab.text('#device-loot'));
  await quiet(tab);
}];

const unscripted = ['without scripts the card is as of when it was loaded, and a link looks again', async () => {
  const own = await launch({ scripts: false });
  const tab = await Tab.open(own.defaultBrowserContext());
  if (process.env.BROWSER !== 'firefox') await tab.page.setJavaScriptEnabled(false); // to Firefox its settings say so
  await tab.go(demo.url);
  await tab.enter('form[action="/steal"] button');
  assert.match(await tab.text('#device-loot'), /The whole jar still accepted/);
  await eventually('looking again shows another try', async () => {
    await tab.enter('#device noscript a');
    return await tries(tab) > 1;
  });
  await own.close();
}];

for (const [name, step] of binds ? [bound] : [permitted, unscripted]) test(name, { timeout: 120_000 }, step);
