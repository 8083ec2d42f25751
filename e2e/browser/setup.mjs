// What the walk needs: demo servers, a browser, and ways to look at both.
import assert from 'node:assert/strict';
import { spawn, execFile } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import puppeteer from 'puppeteer-core';

const run = promisify(execFile);

export const firefox = process.env.BROWSER === 'firefox';
export const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'cookiesession-browser-'));

const children = new Set();
const browsers = new Set();

// end closes and kills whatever still runs.
export async function end() {
  for (const browser of browsers) await browser.close();
  for (const child of children) child.kill('SIGKILL');
}

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
});

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// eventually asks again until the answer is true, for 15 seconds.
export async function eventually(what, ask) {
  for (let i = 0; i < 150; i++) {
    if (await ask()) return;
    await sleep(100);
  }
  assert.fail(`never: ${what}`);
}

// freePort returns a port below those of outgoing connections, so that a server can be started there again.
let port = 29000 + (process.pid % 3000);
export async function freePort() {
  for (let i = 0; i < 500; i++) {
    const candidate = ++port;
    const free = await new Promise((done) => {
      const server = net.createServer();
      server.once('error', () => done(false));
      server.listen(candidate, '127.0.0.1', () => server.close(() => done(true)));
    });
    if (free) return candidate;
  }
  throw new Error('no free port');
}

// A Demo is a demo server, which can be killed and started again.
export class Demo {
  static async start(...args) {
    const demo = new Demo();
    demo.port = await freePort();
    demo.url = `http://127.0.0.1:${demo.port}`;
    demo.args = ['-addr', `127.0.0.1:${demo.port}`, ...args];
    await demo.begin();
    return demo;
  }

  async begin() {
    this.child = child(process.env.DEMO, ...this.args);
    await eventually(`demo ${this.args.join(' ')} answers`, () =>
      fetch(`${this.url}/healthz`).then((r) => r.ok, () => false));
  }

  async kill() {
    const ended = new Promise((done) => this.child.once('exit', done));
    this.child.kill('SIGKILL');
    await ended;
    children.delete(this.child);
  }

  async restart() {
    await this.kill();
    await this.begin();
  }
}

export async function newKeys(name) {
  const file = path.join(scratch, name);
  await cookiesession('keys', 'new', '-file', file);
  return file;
}

export async function cookiesession(...args) {
  return (await run(process.env.COOKIESESSION, args)).stdout;
}

// child starts a program that ends with the walk.
export function child(program, ...args) {
  const started = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, HOME: scratch } });
  children.add(started);
  return started;
}

// Has Chromium 150, which CHROMIUM150 names, bind sessions with keys in software.
export const binding = '--enable-features=DeviceBoundSessions:RequireOriginTrialTokens/false/RefreshQuota/false' +
  '/CheckSubdomainRegistration/false/OriginTrialFeedback/true/SchemaVersion/2,EnableBoundSessionCredentialsSoftwareKeysForManualTesting';

// launch starts a browser, which sends cookies to third parties if asked to, and else does as it comes.
export async function launch({ userDataDir = fs.mkdtempSync(path.join(scratch, 'profile-')), scripts = true, binds = false, thirdParties = false } = {}) {
  if (thirdParties && !firefox) {
    fs.mkdirSync(path.join(userDataDir, 'Default'));
    fs.writeFileSync(path.join(userDataDir, 'Default', 'Preferences'), '{"profile":{"cookie_controls_mode":0}}');
  }
  const browser = await puppeteer.launch({
    browser: firefox ? 'firefox' : 'chrome',
    executablePath: binds ? process.env.CHROMIUM150 : firefox ? '/usr/bin/firefox-esr' : '/usr/bin/chromium',
    headless: true,
    userDataDir,
    acceptInsecureCerts: true, // of a certificate made for the test
    protocolTimeout: 60_000,
    extraPrefsFirefox: { 'devtools.jsonview.enabled': false, 'javascript.enabled': scripts, ...(thirdParties ? { 'network.cookie.cookieBehavior': 0 } : {}) },
    args: firefox ? [] : ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', ...(binds ? [binding] : [])],
  });
  browsers.add(browser);
  browser.once('disconnected', () => browsers.delete(browser));
  return browser;
}

// A Tab is a page of the browser, as somebody uses it.
export class Tab {
  static async open(context, url) {
    const tab = new Tab();
    tab.context = context;
    tab.page = await context.newPage();
    tab.page.setDefaultTimeout(20_000);
    tab.complaints = [];
    tab.page.on('console', (message) => {
      if (['error', 'warn', 'warning'].includes(message.type())) tab.complaints.push(message.text());
    });
    tab.page.on('pageerror', (error) => tab.complaints.push(String(error)));
    if (url) await tab.go(url);
    return tab;
  }

  async go(url) {
    this.response = await this.page.goto(url);
    return this.response;
  }

  async reload() {
    this.response = await this.page.reload();
  }

  // press clicks on what a selector finds, and waits for the page that comes of it.
  async press(selector) {
    await this.page.bringToFront();
    const [response] = await Promise.all([this.page.waitForNavigation(), this.page.click(selector)]);
    this.response = response;
  }

  // enter does so with the keyboard.
  async enter(selector) {
    await this.page.bringToFront();
    await this.page.focus(selector);
    const [response] = await Promise.all([this.page.waitForNavigation(), this.page.keyboard.press('Enter')]);
    this.response = response;
  }

  // fill types into a field.
  async fill(selector, text) {
    await this.page.bringToFront();
    await this.page.$eval(selector, (field) => (field.value = ''));
    await this.page.type(selector, text);
  }

  async text(selector) {
    const found = await this.page.$(selector);
    return found ? found.evaluate((e) => e.textContent.replace(/\s+/g, ' ').trim()) : null;
  }

  // session is what the server says of the session that the browser's cookies carry.
  async session(origin = new URL(this.page.url()).origin) {
    // In another tab, as this one may be at another server's page or none.
    this.api ??= await this.context.newPage();
    await this.api.goto(`${origin}/api/session`);
    return JSON.parse(await this.api.$eval('body', (body) => body.textContent));
  }

  // store makes the session hold so many bytes of data.
  async store(bytes) {
    await this.session();
    await Promise.all([this.api.waitForNavigation(), this.api.evaluate((n) => {
      const form = document.createElement('form');
      form.method = 'post';
      form.action = `/api/size?bytes=${n}`;
      document.body.append(form);
      form.submit();
    }, bytes)]);
  }

  async views() {
    return Number((await this.text('.count')).match(/\d+/)[0]);
  }

  async login(name, remember) {
    await this.fill('#login input[name=name]', name);
    if (remember) await this.page.click('#remember');
    await this.press('#login button');
  }
}

// held returns the cookies that the browser has stored.
export async function held(context) {
  return (await context.cookies()).sort((a, b) => (a.name < b.name ? -1 : 1));
}

// sizes returns the bytes of name and value of the cookies that carry the session.
export async function sizes(context) {
  return (await held(context))
    .filter((c) => /^__Host-session(\.\d)?$/.test(c.name))
    .map((c) => c.name.length + c.value.length);
}

// inWindow runs a step in a browser window of its own: no cookies to begin with. If it fails, its pages are told.
export async function inWindow(browser, t, step) {
  const context = await browser.createBrowserContext();
  try {
    await step(context, t);
  } catch (error) {
    for (const page of await context.pages()) {
      const text = await page.$eval('body', (body) => body.innerText).catch(String);
      t.diagnostic(`${page.url()}\n${text.slice(0, 1500)}`);
    }
    throw error;
  } finally {
    await context.close();
  }
}
