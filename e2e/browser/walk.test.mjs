// A browser walks the demo. BROWSER is chrome or firefox; DEMO, QUICKSTART and COOKIESESSION name the programs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Demo, Tab, child, cookiesession, end, eventually, firefox, freePort, held, inWindow, launch, newKeys, scratch, sizes, sleep } from './setup.mjs';

let browser;
let demo; // makes its keys itself

before(async () => {
  browser = await launch();
  demo = await Demo.start('-name', 'alone');
  console.log(`${await browser.version()}`);
});

after(end);

// walk is a test with a browser window of its own: no cookies to begin with.
function walk(name, step) {
  test(name, { timeout: 120_000 }, (t) => inWindow(browser, t, step));
}

walk('a session lasts over a reload and in a second tab, not in a private window', async (context) => {
  const tab = await Tab.open(context, demo.url);
  assert.equal(await tab.views(), 1);
  await tab.reload();
  assert.equal(await tab.views(), 2);
  const second = await Tab.open(context, demo.url);
  assert.equal(await second.views(), 3);
  const { id } = await tab.session();

  const privately = await browser.createBrowserContext();
  const stranger = await Tab.open(privately, demo.url);
  assert.equal(await stranger.views(), 1);
  assert.notEqual((await stranger.session()).id, id);
  await privately.close();

  await tab.reload();
  assert.equal(await tab.views(), 4);
  assert.equal((await tab.session()).id, id);
});

walk('the program of the README counts 1, 2, 3, and the page has an icon to fetch', async (context) => {
  await newKeys('keys.json');
  const server = child('/usr/bin/env', '-C', scratch, process.env.QUICKSTART);
  const url = 'http://localhost:8000/';
  await eventually('it answers', () => fetch(url).then((r) => r.ok, () => false));
  const tab = await Tab.open(context);
  for (const n of [1, 2, 3]) {
    await tab.go(url);
    assert.equal(await tab.text('body'), `You have been here ${n} times.`);
    await tab.page.evaluate(() => fetch('/favicon.ico')); // headless browsers don't always ask by themselves
  }
  server.kill('SIGTERM');
});

walk('the browser stores the cookie as the library means it', async (context, t) => {
  const tab = await Tab.open(context, demo.url);
  const cookies = await held(context);
  assert.equal(cookies.length, 1);
  const [c] = cookies;
  t.diagnostic(`${c.name}: ${c.value.length} bytes, HttpOnly ${c.httpOnly}, Secure ${c.secure}, SameSite ${c.sameSite}, domain ${c.domain}, path ${c.path}, session ${c.session}`);
  assert.deepEqual(
    { name: c.name, httpOnly: c.httpOnly, secure: c.secure, sameSite: c.sameSite, domain: c.domain, path: c.path, session: c.session },
    { name: '__Host-session', httpOnly: true, secure: true, sameSite: 'Lax', domain: '127.0.0.1', path: '/', session: true });
  assert.equal(await tab.page.evaluate(() => document.cookie), '');
});

walk('a name and a notice that shows once', async (context) => {
  const tab = await Tab.open(context, demo.url);
  await tab.fill('#session input[name=name]', '<b>Ada</b> & co');
  await tab.press('#session form[action="/name"] button');
  assert.equal(tab.response.status(), 200);
  assert.match(await tab.text('#notice'), /<b>Ada<\/b> & co/);
  assert.match(await tab.text('.greeting'), /<b>Ada<\/b> & co/);
  await tab.reload();
  assert.equal(await tab.text('#notice'), null);
  assert.equal((await tab.session()).name, '<b>Ada</b> & co');
});

walk('a cart that fills and empties', async (context) => {
  const tab = await Tab.open(context, demo.url);
  assert.ok(await tab.text('#cart .empty'));
  await tab.press('#cart button[value="add ginger"]');
  await tab.press('#cart button[value="add ginger"]');
  await tab.press('#cart button[value="add oat"]');
  assert.match(await tab.text('#cart .total'), /9\.20/);
  await tab.reload();
  assert.match(await tab.text('#cart .total'), /9\.20/);
  await tab.press('#cart button[value="remove oat"]');
  assert.match(await tab.text('#cart .total'), /6\.40/);
  await tab.press('#cart button[value="empty"]');
  assert.ok(await tab.text('#cart .empty'));
});

walk('login, the members’ page, clear, logout', async (context) => {
  const tab = await Tab.open(context, `${demo.url}/members`);
  assert.notEqual(await tab.text('h1'), 'Members');
  const anonymous = await tab.session();
  await tab.login('Ada');
  const member = await tab.session();
  assert.equal(member.user, 'Ada');
  assert.notEqual(member.id, anonymous.id);
  await tab.go(`${demo.url}/members`);
  assert.equal(await tab.text('h1'), 'Members');
  await tab.go(demo.url);
  await tab.press('form[action="/logout"] button');
  assert.equal((await tab.session()).user, '');
  await tab.go(`${demo.url}/members`);
  assert.notEqual(await tab.text('h1'), 'Members');

  await tab.go(demo.url);
  await tab.login('Bea');
  const { id } = await tab.session();
  await tab.press('form[action="/clear"] button');
  const cleared = await tab.session();
  assert.deepEqual([cleared.user, cleared.id], ['', id]);
});

test('without scripts, and with the keyboard alone, the demo does the same', { timeout: 120_000 }, async () => {
  const own = await launch({ scripts: false });
  const tab = await Tab.open(own.defaultBrowserContext());
  if (!firefox) await tab.page.setJavaScriptEnabled(false); // to Firefox its settings say so
  await tab.go(demo.url);
  await tab.page.focus('#login input[name=name]');
  await tab.page.keyboard.type('Ada');
  await tab.enter('#login button');
  assert.match(await tab.text('#notice'), /Ada/);
  await tab.enter('#cart button[value="add oat"]');
  await tab.reload();
  assert.match(await tab.text('#cart .total'), /2\.80/);
  await tab.enter('form[action="/logout"] button');
  assert.ok(await tab.text('#login input[name=name]') !== null);
  await own.close();
});

walk('the largest session that fits, and one byte more', async (context, t) => {
  const tab = await Tab.open(context, demo.url);
  await tab.press('button[value=full]');
  const full = await tab.session();
  const stored = await sizes(context);
  t.diagnostic(`${full.filler} bytes of data, ${full.size} of ${full.max_size} bytes of cookies, stored as ${stored.join(' + ')}`);
  assert.ok(full.size <= full.max_size && full.size > full.max_size - 4, `${full.size} of ${full.max_size}`);
  assert.ok(stored.every((n) => n <= 4096));

  await tab.press('button[value=byte]');
  assert.equal(tab.response.status(), 413);
  const after = await tab.session();
  assert.deepEqual([after.filler, after.id, after.refused], [full.filler, full.id, '']);
  assert.deepEqual(await sizes(context), stored);

  await tab.go(demo.url);
  await tab.press('form[action="/rotate"] button');
  assert.equal(tab.response.status(), 200);
  assert.match(await tab.text('main'), /^Done key-\d+ seals from now on/);
  assert.deepEqual(await sizes(context), stored);

  await tab.go(demo.url);
  await tab.press('button[value=drop]');
  assert.equal((await tab.session()).filler, 0);
  assert.equal((await sizes(context)).length, 1);
});

walk('one to nine cookies, growing and shrinking', async (context, t) => {
  const large = await Demo.start('-name', 'large', '-max-size', '34000');
  const tab = await Tab.open(context, large.url);
  const { id } = await tab.session();
  const seen = [];
  for (const bytes of [100, 4000, 7000, 10000, 22000, 13000, 7000, 100, 10000, 100, 22000, 100]) {
    await tab.store(bytes);
    const s = await tab.session();
    assert.deepEqual([s.filler, s.id, s.refused], [bytes, id, '']);
    seen.push((await sizes(context)).length);
  }
  await tab.reload();
  await tab.press('button[value=full]');
  const s = await tab.session();
  const stored = await sizes(context);
  t.diagnostic(`cookies: ${seen.join(', ')}; at most ${stored.join(' + ')} for ${s.filler} bytes of data`);
  assert.deepEqual(seen.slice(0, 4), [1, 2, 3, 4]);
  assert.equal(stored.length, 9);
  assert.ok(s.size <= 34000 && s.size > 33990);
  await tab.press('button[value=byte]');
  assert.equal(tab.response.status(), 413);
  assert.equal((await tab.session()).filler, s.filler);
  await large.kill();
});

walk('logout sticks while a slow response is in flight', async (context, t) => {
  const tab = await Tab.open(context, demo.url);
  await tab.login('Ada');
  const { id } = await tab.session();
  const slow = await Tab.open(context);
  const loading = slow.go(`${demo.url}/slow?wait=3s`);
  await sleep(1000); // nothing tells that the server has the request
  await tab.press('form[action="/logout"] button');
  assert.equal((await tab.session()).user, '');
  const names = (cookies) => cookies.map((c) => c.name).join(', ');
  const before = await held(context);
  await loading;
  assert.match(await slow.text('main'), /Ada/, 'the slow page was asked for by a visitor who was logged in');
  const after = await held(context);
  const s = await tab.session();
  t.diagnostic(`cookies before the slow response: ${names(before)}; after: ${names(after)}; refused: ${s.refused}`);
  assert.ok(after.some((c) => c.name.startsWith('__Host-session.ended.')));
  assert.notEqual(before.find((c) => c.name === '__Host-session')?.value, after.find((c) => c.name === '__Host-session').value, 'the slow response set the session’s cookie');
  assert.equal(s.refused, 'ended');
  assert.notEqual(s.id, id);
  await tab.reload();
  assert.equal((await tab.session()).user, '');
  await tab.go(`${demo.url}/members`);
  assert.notEqual(await tab.text('h1'), 'Members');
  await tab.go(demo.url);
  await tab.login('Bea');
  assert.equal((await tab.session()).user, 'Bea');
});

walk('rotating the key, and logging everyone out', async (context) => {
  const own = await Demo.start('-name', 'rotating');
  const tab = await Tab.open(context, own.url);
  await tab.login('Ada');
  const { id } = await tab.session();
  for (let n = 0; n < 3; n++) {
    await tab.press('form[action="/rotate"] button');
    const s = await tab.session();
    assert.deepEqual([s.user, s.id, s.keys.length], ['Ada', id, n + 2]);
  }
  const privately = await browser.createBrowserContext();
  const other = await Tab.open(privately, own.url);
  await other.login('Bea');
  await tab.press('form[action="/end-all"] button');
  assert.equal((await tab.session()).user, '');
  await other.reload();
  assert.equal((await other.session()).user, '');
  await privately.close();
  await own.kill();
});

walk('servers that share keys share sessions, over restarts and the operator’s rotation', async (context, t) => {
  const keys = await newKeys('shared.json');
  const one = await Demo.start('-name', 'one', '-keys', keys);
  const two = await Demo.start('-name', 'two', '-keys', keys);
  const tab = await Tab.open(context, one.url);
  await tab.login('Ada');
  const { id } = await tab.session();
  await tab.go(two.url); // a browser keeps cookies by host, whatever the port
  assert.deepEqual([(await tab.session()).server, (await tab.session()).id], ['two', id]);

  await one.restart();
  await tab.go(one.url);
  assert.deepEqual([(await tab.session()).user, (await tab.session()).id], ['Ada', id]);

  const { ring } = await tab.session();
  const said = await cookiesession('keys', 'rotate', '-file', keys, '-in', '8s', '-lifetime', '24h');
  t.diagnostic(said.trim().split('\n')[0]);
  const sealing = async (server) => (await tab.session(server.url)).keys.find((k) => k.state === 'sealing').label;
  const oldKey = await sealing(one);
  for (const server of [one, two]) {
    await tab.go(server.url);
    await eventually(`${server.url} has the new keys`, async () => (await tab.session()).ring !== ring);
    await eventually(`${server.url} seals with the new key`, async () => (await sealing(server)) !== oldKey);
  }
  await tab.go(one.url);
  await tab.go(two.url);
  const s = await tab.session();
  assert.deepEqual([s.user, s.id, s.refused], ['Ada', id, '']);
  assert.equal(s.opened_by, await sealing(two));
  await one.kill();
  await two.kill();
});

walk('a server that makes its keys ends its sessions with itself, and says so', async (context) => {
  const own = await Demo.start('-name', 'mortal');
  const tab = await Tab.open(context, own.url);
  await tab.login('Ada');
  const stored = await held(context);
  await own.restart();
  const s = await tab.session(own.url);
  assert.deepEqual([s.user, s.refused], ['', 'unknown-key']);
  assert.deepEqual(await held(context), stored, 'a refusal leaves the cookies alone');
  await tab.reload();
  assert.ok(await tab.text('.notice.problem'));
  assert.equal((await tab.session()).refused, '');
  await own.kill();
});

walk('idle: a session that is used lives, one that isn’t ends', async (context) => {
  const brief = await Demo.start('-name', 'brief', '-idle', '12s'); // a page may take seconds on a busy machine
  const tab = await Tab.open(context, brief.url);
  await tab.login('Ada');
  const left = async () => {
    const text = await tab.page.$$eval('#session [data-seconds]', (all) => all.map((e) => e.textContent).at(-1));
    return Number(/^(\d+) s$/.exec(text)?.[1]);
  };
  const first = await left();
  assert.ok(first > 0 && first <= 12, `${first} s`);
  await eventually('the countdown goes on', async () => (await left()) < first);
  for (let i = 0; i < 5; i++) {
    await sleep(2600);
    assert.equal((await tab.session()).user, 'Ada');
  }
  assert.ok((await held(context)).some((c) => c.name === '__Host-session.lease'));
  await sleep(13_000);
  const s = await tab.session();
  assert.deepEqual([s.user, s.refused], ['', 'idle']);
  await brief.kill();
});

walk('another site can neither post a form nor bring the session along', async (context, t) => {
  const tab = await Tab.open(context, demo.url);
  await tab.login('Ada');
  const { id } = await tab.session();
  const port = await freePort();
  const foreign = http.createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end(`<form method="post" action="${demo.url}/name"><input name="name" value="Mallory"><button>Win</button></form>
<a href="${demo.url}/members">members</a>`);
  });
  await new Promise((done) => foreign.listen(port, '127.0.0.1', done));
  try {
    for (const site of [`http://elsewhere.localhost:${port}`, `http://127.0.0.1:${port}`]) {
      const there = await Tab.open(context, site);
      await there.press('button');
      assert.equal(there.response.status(), 403, `a form of ${site}`);
      await there.go(site);
      await there.press('a');
      assert.equal(await there.text('h1'), 'Members', `a link of ${site}`);
      await there.page.close();
    }
  } finally {
    foreign.closeAllConnections();
    foreign.close();
  }
  const s = await tab.session();
  assert.deepEqual([s.user, s.name, s.id], ['Ada', '', id]);
  t.diagnostic('forms of another site and of another port: 403; links bring the session, as SameSite=Lax means');
});

walk('the pages keep to their Content-Security-Policy', async (context) => {
  const tab = await Tab.open(context, demo.url);
  await tab.login('Ada');
  await tab.go(`${demo.url}/members`);
  await tab.go(`${demo.url}/slow?wait=0s`);
  await tab.go(demo.url);
  assert.match(tab.response.headers()['content-security-policy'], /default-src 'none'/);
  assert.deepEqual(tab.complaints, []);
});

test('a closed browser forgets a session, and remembers who asked for it', { timeout: 120_000 }, async () => {
  const keys = await newKeys('remember.json');
  const server = await Demo.start('-name', 'remembering', '-keys', keys);
  for (const remember of [false, true]) {
    const profile = fs.mkdtempSync(path.join(scratch, 'kept-'));
    let own = await launch({ userDataDir: profile });
    let tab = await Tab.open(own.defaultBrowserContext(), server.url);
    await tab.login('Ada', remember);
    assert.equal((await tab.session()).user, 'Ada');
    await own.close();
    own = await launch({ userDataDir: profile });
    tab = await Tab.open(own.defaultBrowserContext(), server.url);
    assert.equal((await tab.session()).user, remember ? 'Ada' : '', `remember: ${remember}`);
    await own.close();
  }
  await server.kill();
});

walk('over HTTP/2 and TLS, with a session of nine cookies', async (context, t) => {
  const large = await Demo.start('-name', 'behind', '-max-size', '34000');
  const port = await freePort();
  const config = path.join(scratch, 'Caddyfile');
  fs.writeFileSync(config, `{
  admin off
  auto_https off
  log {
    level ERROR
  }
  storage file_system ${scratch}/caddy
}
https://localhost:${port} {
  bind 127.0.0.1
  tls ${process.env.CERTIFICATE}
  reverse_proxy 127.0.0.1:${large.port}
}
`);
  const caddy = child('/usr/bin/caddy', 'run', '--adapter', 'caddyfile', '--config', config);
  const url = `https://localhost:${port}`;
  const tab = await Tab.open(context);
  await eventually('Caddy answers', () => tab.go(url).then((r) => r.ok(), () => false));
  await tab.login('Ada');
  await tab.press('button[value=full]');
  const s = await tab.session();
  assert.equal(s.user, 'Ada');
  const protocol = await tab.page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol);
  const stored = await sizes(context);
  assert.equal(protocol, 'h2');
  assert.equal(stored.length, 9);
  await tab.press('button[value=drop]');
  assert.equal((await sizes(context)).length, 1);
  await tab.press('form[action="/logout"] button');
  assert.equal((await tab.session()).user, '');
  t.diagnostic(`${protocol}, ${stored.length} cookies, ${s.size} bytes`);
  caddy.kill('SIGTERM');
  await large.kill();
});
