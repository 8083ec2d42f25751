// Walks through the life of a device-bound session with a browser that binds sessions, has other hosts send it requests,
// and walks with other browsers, which must be unbothered. CHROMIUM150 is the one that does so with keys in software.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { binding, child, cookiesession, end, eventually, freePort, newKeys, scratch } from './setup.mjs';

after(end);

class Shop {
  static async start(keys, { host = 'localhost', deviceHosts = '', strict = false } = {}) {
    const shop = new Shop();
    shop.ahead = 0; // seconds, of its clock
    shop.args = ['-keys', keys, '-hosts', deviceHosts, `-strict=${strict}`];
    shop.port = await freePort();
    shop.url = `http://${host}:${shop.port}`;
    shop.elsewhere = `http://127.0.0.1:${shop.port}`; // another site to the browser
    await shop.begin();
    return shop;
  }

  async begin() {
    this.child = child(process.env.DEVICE, '-addr', `127.0.0.1:${this.port}`, ...this.args);
    await eventually('the server answers', () => fetch(`${this.elsewhere}/test/stats`).then((r) => r.ok, () => false));
    await this.advance(0);
  }

  async restart() {
    const ended = new Promise((done) => this.child.once('exit', done));
    this.child.kill('SIGKILL');
    await ended;
    await this.begin();
  }

  async advance(seconds) {
    this.ahead += seconds;
    await fetch(`${this.elsewhere}/test/clock`, { method: 'POST', body: new URLSearchParams({ ahead: this.ahead }) });
  }

  async stats() { return (await fetch(`${this.elsewhere}/test/stats`)).json(); }

  // linkAt returns the URL of a page at another host that links to a page of the shop, and has a form for it.
  linkAt(host, to) { return `http://${host}:${this.port}/test/link?to=${encodeURIComponent(to)}`; }

  // replay sends cookies from another machine and returns what the page says.
  async replay(cookies) {
    const response = await fetch(this.url, { headers: { Cookie: cookies.map((c) => `${c.name}=${c.value}`).join('; ') } });
    return stateIn(await response.text());
  }
}

const stateIn = (text) => /id="state">([^<]*)</.exec(text)?.[1];

async function launch(executablePath, args, userDataDir = fs.mkdtempSync(path.join(scratch, 'profile-'))) {
  const firefox = executablePath.includes('firefox');
  const browser = await puppeteer.launch({
    browser: firefox ? 'firefox' : 'chrome', executablePath, headless: true, userDataDir, protocolTimeout: 60_000,
    args: firefox ? [] : ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', ...args],
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  return { browser, page };
}

const state = (page) => page.$eval('#state', (e) => e.textContent);

async function press(page, selector) {
  await Promise.all([page.waitForNavigation(), page.click(selector)]);
}

// expire deletes the proof, as the browser does when its time has come.
async function expire({ browser }) {
  for (const c of await browser.cookies()) if (c.name.includes('.proof.')) await browser.deleteCookie(c);
}

async function wait(page, url, want) {
  await eventually(want, async () => { await page.goto(url); return await state(page) === want; });
}

// follow clicks at a page at host on a link to the shop, once the proof has gone, sees the visitor arrive there with a
// renewed one, and returns how many entries the tab's history had before.
async function follow(b, shop, host, to) {
  await b.page.goto(shop.linkAt(host, to));
  const entries = await b.page.evaluate(() => history.length);
  await expire(b);
  const before = (await shop.stats()).Device.Refreshed;
  await b.page.click('#link');
  await eventually(`${to} for ada`, async () => {
    try { return await state(b.page) === 'ada proven'; } catch { return false; } // between two pages
  });
  assert.equal((await shop.stats()).Device.Refreshed, before + 1);
  return entries;
}

// request has a page at host send the shop a request once the proof has gone, and returns what the shop answers and how
// often the browser has renewed meanwhile.
async function request(b, shop, host, how, path = '/') {
  const to = shop.url + path;
  await b.page.goto(shop.linkAt(host, to));
  await expire(b);
  const before = (await shop.stats()).Device.Refreshed;
  let status, text;
  if (how === 'fetch') {
    [status, text] = await b.page.evaluate(async (url) => {
      const response = await fetch(url, { credentials: 'include' });
      return [response.status, await response.text()];
    }, to);
  } else {
    const [response] = await Promise.all([b.page.waitForNavigation(), b.page.click('#post')]);
    [status, text] = [response.status(), await response.text()];
  }
  return { status, state: stateIn(text), renewed: (await shop.stats()).Device.Refreshed - before };
}

test('Chromium that binds sessions', { skip: !process.env.CHROMIUM150 }, async (t) => {
  const keys = await newKeys('device.json');
  const shop = await Shop.start(keys);
  const profile = fs.mkdtempSync(path.join(scratch, 'profile-'));
  let b = await launch(process.env.CHROMIUM150, [binding], profile);
  console.log(await b.browser.version());

  await t.test('login and registration', async () => {
    await b.page.goto(shop.url);
    assert.equal(await state(b.page), 'nobody');
    await press(b.page, '#login');
    await wait(b.page, shop.url, 'ada proven');
    const { Offered, Registered } = (await shop.stats()).Device;
    assert.deepEqual({ Offered, Registered }, { Offered: 1, Registered: 1 });
  });

  let stolen;
  await t.test('renewal', async () => {
    for (let i = 1; i <= 3; i++) {
      await expire(b);
      await b.page.goto(shop.url);
      assert.equal(await state(b.page), 'ada proven');
      assert.equal((await shop.stats()).Device.Refreshed, i);
    }
    stolen = await b.browser.cookies();
    assert.deepEqual(stolen.map((c) => c.name.split('.')[1]).sort(), ['device', 'proof', undefined]);
  });

  await t.test('a stolen jar', async () => {
    assert.equal(await shop.replay(stolen), 'ada proven', 'in the window, that is what it is');
    for (const c of stolen) {
      const rest = stolen.filter((other) => other !== c);
      assert.equal(await shop.replay(rest), c.name.includes('.') ? 'unproven' : 'nobody', `without ${c.name}`);
    }
    await shop.advance(11 * 60);
    assert.equal(await shop.replay(stolen), 'unproven', 'behind it');
    await expire(b);
    await b.page.goto(shop.url);
    assert.equal(await state(b.page), 'ada proven', 'the owner');
    assert.equal(await shop.replay(stolen), 'unproven', 'after the owner has renewed');
  });

  await t.test('a link from another site, with an expired proof', async () => {
    for (const to of [shop.url + '/', shop.url + '/?a=b', shop.url + '/#part', shop.url + '/?a=b#part']) {
      const entries = await follow(b, shop, '127.0.0.1', to);
      assert.equal(await b.page.evaluate(() => location.href), to);
      assert.equal(await b.page.evaluate(() => history.length), entries + 1);
    }
  });

  await t.test('such a link whose path begins like a host', async () => { // the server's mux leads on to the clean path
    await follow(b, shop, '127.0.0.1', `${shop.url}//?a=b#part`);
  });

  await t.test('restart and rotation', async () => {
    await shop.restart();
    await b.page.goto(shop.url);
    assert.equal(await state(b.page), 'ada proven');
    await cookiesession('keys', 'rotate', '-file', keys, '-in', '0s', '-lifetime', '24h');
    await shop.restart();
    for (let i = 0; i < 2; i++) {
      await expire(b);
      await b.page.goto(shop.url);
      assert.equal(await state(b.page), 'ada proven');
    }
    const { Keys } = await shop.stats();
    assert.equal(Object.values(Keys).filter((k) => k.Opened > 0).length, 2, 'both keys are in use');
  });

  await t.test('logout', async () => {
    await press(b.page, '#logout');
    assert.equal(await state(b.page), 'nobody');
    await eventually('the browser is told', async () => { await b.page.goto(shop.url); return (await shop.stats()).Device.Ended === 1; });
    const before = (await shop.stats()).Device;
    for (let i = 0; i < 3; i++) await b.page.goto(shop.url);
    assert.deepEqual((await shop.stats()).Device, before, 'and asks no more');
    assert.equal(await shop.replay(stolen), 'unproven');
  });

  await t.test('remembered over a restart of the browser', async () => {
    await press(b.page, '#remember');
    await wait(b.page, shop.url, 'ada proven');
    await new Promise((done) => setTimeout(done, 5_000)); // until it is on disk
    await b.browser.close();
    b = await launch(process.env.CHROMIUM150, [binding], profile);
    await expire(b);
    await b.page.goto(shop.url);
    assert.equal(await state(b.page), 'ada proven');
  });
  await b.browser.close();
});

// An identity provider's redirect or form, or a link in a mail: the browser withholds the cookies from the registration.
for (const strict of [false, true]) {
  test(`a login that another site completes, SameSite=Strict ${strict}`, { skip: !process.env.CHROMIUM150 }, async () => {
    const shop = await Shop.start(await newKeys(`elsewhere-${strict}.json`), { strict });
    const b = await launch(process.env.CHROMIUM150, [binding]);
    for (const [i, how] of ['#link', '#post'].entries()) {
      await b.page.goto(shop.linkAt('127.0.0.1', shop.url + '/login'));
      await press(b.page, how);
      await eventually('registration', async () => (await shop.stats()).Device.Registered === i + 1);
      for (let renewals = 0; renewals < 2; renewals++) {
        await wait(b.page, shop.url, 'ada proven');
        await expire(b);
      }
      await b.page.goto(shop.url);
      await press(b.page, '#logout');
      assert.equal(await state(b.page), 'nobody');
    }
    await b.browser.close();
  });
}

// Chromium looks for every host under localhost on this machine, binds sessions there without TLS, and takes
// shop.localhost for a site: www and app are two hosts of it, and other.localhost is another site.
for (const [name, deviceHosts] of [['a pattern', '*.shop.localhost'], ['a host', 'app.shop.localhost'], ['nothing', '']]) {
  test(`another host of the site, where DeviceHosts has ${name}`, { skip: !process.env.CHROMIUM150 }, async (t) => {
    const shop = await Shop.start(await newKeys(`${name}.json`), { host: 'www.shop.localhost', deviceHosts });
    const b = await launch(process.env.CHROMIUM150, [binding]);
    await b.page.goto(shop.url);
    await press(b.page, '#login');
    await wait(b.page, shop.url, 'ada proven');
    const fromSibling = deviceHosts
      ? { status: 200, state: 'ada proven', renewed: 1 }
      : { status: 200, state: 'unproven', renewed: 0 }; // the browser doesn't say that it has a key, so the visitor is anonymous

    for (const how of ['fetch', 'form POST']) {
      await t.test(`${how} from it`, async () => {
        assert.deepEqual(await request(b, shop, 'app.shop.localhost', how), fromSibling);
      });
      await t.test(`${how} from another site, which gets nothing`, async () => {
        assert.deepEqual(await request(b, shop, 'other.localhost', how), { status: 200, state: 'nobody', renewed: 0 });
      });
    }
    await t.test('links from both, and nothing has ended the binding', async () => {
      await follow(b, shop, 'app.shop.localhost', shop.url + '/');
      await follow(b, shop, 'other.localhost', shop.url + '/');
      assert.equal((await shop.stats()).Device.Ended, 0);
    });
    await t.test('a form POST from it that is answered with a session', async () => {
      await request(b, shop, 'app.shop.localhost', 'form POST', '/note');
      await b.page.goto(shop.url);
      assert.equal(await state(b.page), deviceHosts ? 'ada proven' : 'somebody'); // an anonymous session replaces the bound one
    });
    await b.browser.close();
  });
}

for (const [name, executable] of [
  ['Chromium 150 without the switch', process.env.CHROMIUM150],
  ['the installed Chromium', '/usr/bin/chromium'],
  ['Firefox', '/usr/bin/firefox-esr'],
]) {
  test(`${name}: nothing changes`, { skip: !executable }, async () => {
    const shop = await Shop.start(await newKeys(`${name}.json`));
    const b = await launch(executable, []);
    console.log(await b.browser.version());
    await b.page.goto(shop.url);
    await press(b.page, '#login');
    for (let i = 0; i < 3; i++) {
      assert.equal(await state(b.page), 'ada');
      await shop.advance(30 * 60);
      await b.page.reload();
    }
    await b.page.goto(shop.linkAt('127.0.0.1', shop.url + '/'));
    await press(b.page, '#link');
    assert.equal(await state(b.page), 'ada');
    await press(b.page, '#logout');
    assert.equal(await state(b.page), 'nobody');
    const { Offered, Registered } = (await shop.stats()).Device;
    assert.deepEqual({ Offered, Registered }, { Offered: 1, Registered: 0 });
    await b.browser.close();
  });
}
