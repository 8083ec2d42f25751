// Other sites link to an application, send it requests and embed it, under each SameSite. BROWSER is chrome or firefox,
// EMBEDDED names the program, which is the application at shop.localhost and another site at other hosts. Which cookies
// come is the browser's doing; what becomes of the session then, the library's.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Tab, child, end, eventually, firefox, freePort, inWindow, launch, newKeys } from './setup.mjs';

let port;
const at = (host) => `http://${host}.localhost:${port}`;
let installed; // a browser as it comes
let lenient; // one that sends cookies to third parties

before(async () => {
  port = await freePort();
  child(process.env.EMBEDDED, '-addr', `127.0.0.1:${port}`, '-keys', await newKeys('keys.json'), '-trusted', at('elsewhere'),
    '-sibling', at('page.shop'));
  await eventually('the application answers', () => fetch(`http://127.0.0.1:${port}/elsewhere`).then((r) => r.ok, () => false));
  installed = await launch();
  lenient = await launch({ thirdParties: true });
  console.log(`${await installed.version()}`);
});

after(end);

const state = (frame) => frame.$eval('#state', (e) => JSON.parse(e.textContent));

// fetched has a page send a request, and returns what was answered.
const fetched = (page, url, init) => page.evaluate(async (url, init) => {
  if (init?.body) init.body = new URLSearchParams(init.body);
  const html = await (await fetch(url, init)).text();
  return JSON.parse(new DOMParser().parseFromString(html, 'text/html').querySelector('#state').textContent);
}, url, init);

// An Application is a tab with a page of the application. ask has that page send a request.
class Application extends Tab {
  static async open(browser, path) {
    const tab = Object.assign(new Application(), await Tab.open(browser.defaultBrowserContext(), at('shop') + path));
    tab.path = path;
    return tab;
  }

  ask(query = '') { return fetched(this.page, this.path + query); }
}

// embedded is what the frame of a page shows once it has come from the application.
async function embedded(page, url) {
  const frame = await page.waitForFrame((f) => f.parentFrame() && f.url() === url);
  await frame.waitForSelector('#state');
  return frame;
}

// The ways in which a page of another site can have the browser send a request. Each returns what was answered.
const ways = {
  async link(tab) {
    await tab.press('#link');
    return state(tab.page);
  },
  async form(tab) {
    await tab.press('#post');
    return state(tab.page);
  },
  async 'form into a frame'(tab, to) {
    await tab.page.bringToFront();
    await tab.page.click('#post-into-frame');
    return state(await embedded(tab.page, to));
  },
  async frame(tab, to) {
    return state(await embedded(tab.page, to));
  },
  fetch(tab, to, token) {
    return fetched(tab.page, to, { method: 'POST', credentials: 'include', body: { csrf_token: token } });
  },
};

// send has a page at a host send the application a request.
async function send(tab, host, way, path, token = '') {
  const to = at('shop') + path;
  await tab.go(`${at(host)}/elsewhere?${new URLSearchParams({ to, token, frame: way === 'frame' ? to : '' })}`);
  return ways[way](tab, to, token);
}

// Under Lax and Strict browsers withhold the cookies from what another site tries here. Under None they come: with a form
// in any browser, with the rest in one that sends cookies to third parties. Those of Strict come from another host of the
// site. Below open/ is the application without ProtectCSRF, where the very same request does what it wants.
for (const [from, host, policy, browser, tried] of [
  ['another site, third parties get cookies', 'elsewhere', 'none', () => lenient, ['form', 'form into a frame', 'fetch']],
  ['another site', 'elsewhere', 'none', () => installed, ['form']],
  ['another site', 'elsewhere', 'partitioned', () => installed, ['form']],
  ['another host of the site', 'sibling.shop', 'strict', () => installed, ['fetch']],
]) {
  test(`${from}, SameSite ${policy}: only ProtectCSRF stands between`, { timeout: 60_000 }, async () => {
    const own = await Application.open(browser(), `/${policy}/`);
    const tab = await Tab.open(browser().defaultBrowserContext());
    const { id, n } = await own.ask();
    for (const [i, way] of tried.entries()) {
      const refused = await send(tab, host, way, `/${policy}/?do=count`);
      assert.deepEqual([refused.status, refused.id, refused.refused], [403, id, 'cookiesession: another origin sent the request'], way);
      assert.equal((await own.ask()).n, n + i, way);
      const done = await send(tab, host, way, `/${policy}/open/?do=count`);
      assert.deepEqual([done.status, done.id], [200, id], way);
      assert.equal((await own.ask()).n, n + i + 1, way);
    }
  });
}

test('a trusted origin needs a token of the visitor’s session', { timeout: 60_000 }, async () => {
  const own = await Application.open(lenient, '/trusting/');
  const tab = await Tab.open(lenient.defaultBrowserContext());
  const strangers = /name="csrf_token" value="([^"]*)"/.exec(await (await fetch(`http://127.0.0.1:${port}/trusting/`)).text())[1];
  const right = await own.page.$eval('input[name=csrf_token]', (input) => input.value);
  const { id, n } = await own.ask();
  for (const [token, status, refused, counts] of [
    ['', 403, 'cookiesession: the request brings no CSRF token', 0],
    [strangers, 403, "cookiesession: the CSRF token is not this session's", 0],
    [right, 200, '', 1],
  ]) {
    const answer = await send(tab, 'elsewhere', 'fetch', '/trusting/?do=count', token);
    assert.deepEqual([answer.status, answer.id, answer.refused], [status, id, refused]);
    assert.equal((await own.ask()).n, n + counts, refused);
  }
});

// An API at shop.localhost and pages at other hosts of its site, as OPERATIONS.md has it: the cookies are the API's alone.
test('a page on another host of the site uses an API that trusts it', { timeout: 60_000 }, (t) => inWindow(installed, t, async (context) => {
  const page = await Tab.open(context, `${at('page.shop')}/elsewhere`);
  const ask = (tab, query, token) => fetched(tab.page, `${at('shop')}/api/${query}`,
    { credentials: 'include', ...(token === undefined ? {} : { method: 'POST', body: { csrf_token: token } }) });
  const first = await ask(page, '');
  assert.deepEqual([first.new, first.came], [true, []]);
  const login = await ask(page, '?do=login', first.token);
  assert.deepEqual([login.status, login.came], [200, ['__Host-api']]);
  const counted = await ask(page, '?do=count', login.token);
  assert.deepEqual([counted.status, counted.id, counted.n], [200, login.id, 1]);
  const old = await ask(page, '?do=count', first.token);
  assert.deepEqual([old.status, old.refused], [403, "cookiesession: the CSRF token is not this session's"]);
  assert.deepEqual((await context.cookies()).map((c) => c.domain), ['shop.localhost']);

  const sibling = await Tab.open(context, `${at('sibling.shop')}/elsewhere`);
  const refused = await ask(sibling, '?do=count', login.token);
  assert.deepEqual([refused.status, refused.id, refused.refused], [403, login.id, 'cookiesession: another origin sent the request']);
  const elsewhere = await Tab.open(context, `${at('elsewhere')}/elsewhere`);
  const stranger = await ask(elsewhere, '');
  assert.deepEqual([stranger.new, stranger.came], [true, []]);
  assert.deepEqual([(await ask(page, '')).id, (await ask(page, '')).n], [login.id, 1]);
}));

// A session that the browser has but withholds must not be replaced by the answer. The server counts in withheld.
for (const [policy, comes] of [['lax', ['link']], ['strict', []]]) {
  test(`another site, SameSite ${policy}: what it asks for leaves the session alone`, { timeout: 60_000 }, async () => {
    const own = await Application.open(installed, `/${policy}/`);
    const tab = await Tab.open(installed.defaultBrowserContext());
    for (const way of Object.keys(ways)) {
      const came = comes.includes(way);
      const before = await own.ask();
      const answer = await send(tab, 'elsewhere', way, `/${policy}/open/?do=count`);
      assert.equal(answer.came.includes(`__Host-${policy}`), came, way);
      assert.equal(answer.came.includes(`__Host-${policy}.here`), policy === 'strict' && way === 'link', way);
      const after = await own.ask();
      assert.deepEqual([after.id, after.n], [before.id, before.n + Number(came)], way);
      assert.equal(after.withheld, before.withheld + Number(!came), way);
    }
  });
}

test('SameSite strict: visitors who come by a link', { timeout: 60_000 }, async () => {
  const tab = await Tab.open(await installed.createBrowserContext());
  const come = (query) => send(tab, 'elsewhere', 'link', `/strict/${query}`);
  const goOn = async () => {
    await tab.press('#again');
    return state(tab.page);
  };

  const first = await come('?do=count');
  assert.deepEqual(first.came, [], 'somebody new');
  const inside = await goOn();
  assert.deepEqual([inside.came, inside.id, inside.n], [['__Host-strict', '__Host-strict.here'], first.id, 1], 'has a session');

  const again = await come('?do=count');
  assert.deepEqual([again.came, again.new], [['__Host-strict.here'], true], 'a second time');
  const kept = await goOn();
  assert.deepEqual([kept.id, kept.n], [first.id, 1], 'has it still');

  const login = await come('?do=login');
  assert.deepEqual([login.came, login.new], [['__Host-strict.here'], true]);
  assert.equal((await goOn()).id, login.id, 'a login replaces it on purpose');

  assert.deepEqual((await come('?do=logout')).came, ['__Host-strict.here']);
  const fresh = await come('?do=count');
  assert.deepEqual(fresh.came, [], 'a logout ends it unseen, with its hint');
  const begun = await goOn();
  assert.deepEqual([begun.id, begun.n], [fresh.id, 1], 'and the next one can begin');
});

// A Frame is the application in a page of another site.
class Frame {
  static async open(browser, host, path) {
    const frame = Object.assign(new Frame(), { tab: await Tab.open(browser.defaultBrowserContext()), host, path });
    await frame.reload();
    return frame;
  }

  async reload() {
    this.state = await send(this.tab, this.host, 'frame', this.path);
    this.frame = await embedded(this.tab.page, at('shop') + this.path);
    return this.state;
  }

  // press doesn't move a mouse there: while Chromium paints the frame, it may miss.
  async press(button) {
    await Promise.all([this.frame.waitForNavigation(), this.frame.$eval(`#${button}`, (found) => found.click())]);
    this.state = await state(this.frame);
    return this.state;
  }
}

if (!firefox) {
  test('embedded, SameSite none, in a browser as it comes: the session is gone with each request', { timeout: 60_000 }, async () => {
    const frame = await Frame.open(installed, 'one', '/none/');
    const refused = await frame.press('count');
    assert.deepEqual([refused.came, refused.status, refused.refused], [[], 403, 'cookiesession: no session, or one that never had a CSRF token']);
  });
}

// Frames have the visitor's own session, or one for each site that embeds them.
const partitioned = ['partitioned', 'one for each site'];
for (const [kind, browser, policy, has] of [
  ['as it comes', () => installed, ...partitioned],
  ['that sends cookies to third parties', () => lenient, ...partitioned],
  ['that sends cookies to third parties', () => lenient, 'none', 'the visitor’s'],
  ...(firefox ? [['as it comes', () => installed, 'none', 'one for each site']] : []),
]) {
  test(`embedded, SameSite ${policy}, in a browser ${kind}: the session is ${has}`, { timeout: 60_000 }, async () => {
    const shared = has === 'the visitor’s';
    const path = `/${policy}/`;
    const parts = ({ came }) => came.filter((name) => new RegExp(`^__Host-${policy}(\\.\\d)?$`).test(name)).length;
    const marked = ({ came }) => came.some((name) => name.startsWith(`__Host-${policy}.ended.`));
    const own = await Application.open(browser(), path);
    const { id } = await own.ask();

    const one = await Frame.open(browser(), 'one', path);
    const { id: embeddedID, n } = one.state;
    assert.equal(embeddedID === id, shared);
    for (const [button, came] of [['grow', 1], ['count', 2], ['shrink', 2], ['count', 1]]) {
      const now = await one.press(button);
      assert.deepEqual([now.status, now.id, parts(now)], [200, embeddedID, came], button);
    }
    assert.deepEqual([one.state.n, one.state.filler], [n + 2, 0]);

    const two = await Frame.open(browser(), 'two', path);
    assert.deepEqual([two.state.id === embeddedID, two.state.id === id], [shared, shared]);
    const { id: login } = await two.press('login');
    assert.notEqual(login, embeddedID);
    await one.reload();
    assert.equal(one.state.id, shared ? login : embeddedID);

    await one.press('logout');
    await one.reload();
    assert.deepEqual([one.state.new, marked(one.state)], [true, true]);
    await two.reload();
    const now = await own.ask();
    assert.deepEqual([two.state.id, now.id], shared ? [one.state.id, one.state.id] : [login, id]);
    assert.deepEqual([marked(two.state), marked(now)], [shared, shared]);
  });
}

test('Partitioned is switched on while visitors have sessions', { timeout: 60_000 }, async () => {
  const before = await Application.open(installed, '/before/');
  const { id, second } = await before.ask('?do=count');
  const now = await Application.open(installed, '/after/');
  await eventually('a second later, as sealed times have no fractions', async () => (await now.ask()).second > second);
  await now.ask('?do=count');
  const both = await now.ask();
  assert.deepEqual([both.id, both.n, both.came.filter((name) => name === '__Host-switched').length], [id, 2, 2]);
  await now.ask('?do=logout');
  const next = await now.ask('?do=count');
  const last = await now.ask();
  assert.notEqual(next.id, id);
  assert.deepEqual([last.id, last.n], [next.id, 1]);
});
