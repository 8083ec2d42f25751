// Several browsers walk examples/account. BROWSER is chrome or firefox, ACCOUNT names the program.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Tab, child, end, eventually, firefox, freePort, held, launch, scratch } from './setup.mjs';

const password = 'correct horse battery staple';
const changed = 'another horse, another staple';
let browser;

before(async () => {
  browser = await launch();
  console.log(`${await browser.version()}`);
});

after(end);

// A Person's browser is a window of its own: no cookies to begin with.
class Person extends Tab {
  static async at(url) {
    const person = Object.assign(new Person(), await Tab.open(await browser.createBrowserContext()));
    person.url = url;
    await person.go(url);
    return person;
  }

  async register(name) {
    await this.go(`${this.url}/register`);
    await this.fill('#name', name);
    await this.fill('#password', password);
    await this.fill('#again', password);
    await this.press('main form button');
    assert.equal(await this.text('#notice'), `Welcome, ${name}.`);
  }

  async logIn(name, secret, remember) {
    await this.go(`${this.url}/login`);
    await this.fill('#name', name);
    await this.fill('#password', secret);
    if (remember) await this.page.click('#remember');
    await this.press('main form button');
  }

  // member returns whose first page this is, or null.
  async member() {
    await this.go(this.url);
    return (await this.text('h1')).match(/^Hello, (.*)$/)?.[1] ?? null;
  }

  async sessions() {
    await this.go(`${this.url}/sessions`);
    return this.page.$$eval('.lines li', (lines) => lines.map((line) => line.className));
  }
}

// Browsers can't tell the ways to end a session apart, so one of them tries all.
for (const means of firefox ? ['version'] : ['version', 'memory', `file:${path.join(scratch, 'revoked')}`]) {
  test(`accounts, with sessions that end by ${means.split(':')[0]}`, { timeout: 120_000 }, async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    child(process.env.ACCOUNT, '-addr', `127.0.0.1:${port}`, '-revoke', means);
    await eventually('the application answers', () => fetch(`${url}/login`).then((r) => r.ok, () => false));
    const laptop = await Person.at(url);
    const phone = await Person.at(url);
    const other = await Person.at(url);

    await laptop.register('ada');
    await other.register('bea');
    await phone.logIn('ada', password, true);
    const [cookie] = await held(phone.context);
    const days = (cookie.expires - Date.now() / 1000) / 86400;
    assert.ok(cookie.httpOnly && cookie.secure && days > 29.9 && days < 30.1, `${cookie.name}: ${days} days`);

    assert.deepEqual((await laptop.sessions()).sort(), ['', 'current']);
    await laptop.press('form[action="/sessions/end"] button');
    assert.equal(await laptop.text('#notice'), 'The session has ended.');
    assert.equal(await phone.member(), null);
    assert.equal(await laptop.member(), 'ada');

    await phone.logIn('ada', password);
    assert.equal(await phone.member(), 'ada');
    await laptop.sessions();
    await laptop.press('form[action="/sessions/end-others"] button');
    assert.equal(await phone.member(), null);
    assert.deepEqual(await laptop.sessions(), ['current']);

    await phone.logIn('ada', password);
    await laptop.go(`${url}/password`);
    await laptop.fill('#password', changed);
    await laptop.fill('#again', changed);
    await laptop.press('main form button');
    assert.match(await laptop.text('#notice'), /^Your password is changed/);
    assert.equal(await phone.member(), null);
    await phone.logIn('ada', password);
    assert.equal(await phone.text('#notice'), 'Name or password is wrong.');
    await phone.logIn('ada', changed);
    assert.equal(await phone.member(), 'ada');

    await laptop.go(`${url}/confirm?next=admin`);
    await laptop.fill('#password', changed);
    await laptop.press('main form button');
    assert.equal(await laptop.text('h1'), 'Accounts and roles');
    await laptop.page.select('select', 'admin');
    await laptop.press('form[action="/admin/role"] button');
    await other.go(`${url}/admin`);
    assert.equal(await other.text('h1'), 'Accounts and roles');
    await laptop.page.select('select', 'blocked');
    await laptop.press('form[action="/admin/role"] button');
    assert.equal(await other.member(), null);

    await laptop.sessions();
    await laptop.press('form[action="/logout"] button');
    assert.equal(await laptop.text('#notice'), 'You are logged out.');
    await laptop.page.goBack();
    assert.notEqual(await laptop.text('h1'), 'My sessions');
    assert.equal(await laptop.member(), null);
    assert.equal(await phone.member(), 'ada');

    for (const person of [laptop, phone, other]) assert.deepEqual(person.complaints, []);
  });
}
