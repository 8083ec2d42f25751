// A browser logs in at a provider on another site, refreshes tokens in several tabs, and logs out at both. BROWSER is
// chrome or firefox, OPENID names the program.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Tab, child, end, eventually, freePort, held, inWindow, launch, sleep } from './setup.mjs';

const early = 10_000; // how long before its end the application takes an access token for expired

let browser;
let shop; // the application's origin
let provider;

before(async () => {
  const [port, providerPort] = [await freePort(), await freePort()];
  shop = `http://localhost:${port}`; // another site than 127.0.0.1 to browsers
  provider = `http://127.0.0.1:${providerPort}`;
  child(process.env.OPENID, '-port', String(port), '-provider-port', String(providerPort), '-access', '15s');
  await eventually('the application answers', () => fetch(shop).then((r) => r.ok, () => false));
  browser = await launch();
  console.log(`${await browser.version()}`);
});

after(end);

// me asks the provider who the visitor is, and returns when the access token expires.
async function me(tab) {
  await tab.go(`${shop}/me`);
  const text = await tab.text('body');
  assert.equal(tab.response.status(), 200, text);
  return Date.parse(JSON.parse(text).access_token_expires);
}

for (const [answer, link, posts] of [
  ['a redirect', '/login', []],
  ['a form', '/login?mode=form_post', [303]],
]) {
  test(`the provider answers with ${answer}: login, three tabs that refresh at once, logout`, { timeout: 120_000 }, (t) => inWindow(browser, t, async (context) => {
    const tab = await Tab.open(context, shop);
    const posted = []; // status of each POST to /callback
    tab.page.on('response', (response) => {
      if (response.request().method() === 'POST' && response.url() === `${shop}/callback`) posted.push(response.status());
    });
    await tab.press(`a[href="${link}"]`);
    assert.equal(new URL(tab.page.url()).origin, provider);
    await tab.page.click('button');
    await eventually('the visitor is back, and logged in', async () =>
      tab.page.url() === `${shop}/` && /Hello, Grace/.test(await tab.text('body').catch(() => '')));
    assert.deepEqual(posted, posts);
    const cookies = (await held(context)).filter((cookie) => cookie.name.startsWith('__Host-session'));
    const line = cookies.map((cookie) => `${cookie.name}=${cookie.value}`).join('; ').length;
    t.diagnostic(`${cookies.length} cookies, ${line} bytes`);
    assert.ok(cookies.length > 1 && line > 6144 && line <= 8000, `${cookies.length} cookies, ${line} bytes`);

    const expires = await me(tab);
    const tabs = await Promise.all([1, 2, 3].map(() => Tab.open(context)));
    await sleep(Math.max(0, expires - early - Date.now()) + 100);
    for (const refreshed of await Promise.all(tabs.map(me))) assert.ok(refreshed > expires, `${refreshed}, ${expires}`);
    assert.ok(await me(tab) > expires); // the session that the browser kept of the three works

    await tab.go(shop);
    await tab.press('form[action="/logout"] button');
    assert.equal(tab.page.url(), `${shop}/`);
    assert.match(await tab.text('body'), /Log in/);
    await tabs[0].go(`${shop}/me`);
    assert.equal(tabs[0].response.status(), 401);
    assert.deepEqual((await held(context)).filter((cookie) => /^__Host-session(\.\d)?$/.test(cookie.name)), []);
  }));
}
