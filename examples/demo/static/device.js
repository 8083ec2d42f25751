// Looks again at the device card while something may happen there. The page is complete without it, as of when it was loaded.
'use strict';

const card = document.getElementById('device-now');
let due;

// wait has the card looked at again after so many seconds, unless that is 0.
function wait(seconds) {
  clearTimeout(due);
  due = seconds > 0 ? setTimeout(look, seconds * 1000) : undefined;
}

async function look() {
  if (document.hidden) return; // it is time when somebody looks
  wait(0); // or, if it wasn't due yet, two would go on
  let again = 10; // if the server can't be reached
  try {
    const answer = await fetch('/device');
    if (answer.ok) again = show(await answer.text());
  } catch { /* it may be restarting */ }
  wait(again);
}

// show takes over what has changed. A screen reader reads out what changes in the live parts, so those stay if they say the same.
function show(html) {
  const fresh = new DOMParser().parseFromString(html, 'text/html').getElementById('device-now');
  for (const part of fresh.children) {
    const shown = document.getElementById(part.id);
    if (!part.hasAttribute('aria-live') || part.textContent !== shown.textContent) shown.replaceChildren(...part.childNodes);
  }
  return Number(fresh.dataset.again);
}

document.addEventListener('visibilitychange', () => { if (!document.hidden && due !== undefined) look(); });
wait(Number(card.dataset.again));
