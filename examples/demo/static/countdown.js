// Lets the times left run down. The page is complete without it: the server has written them as they were.
'use strict';

// spell writes seconds in their two largest units, as the server does.
function spell(s) {
  if (s <= 0) return 'over';
  if (s < 60) return `${s} s`;
  if (s < 3600) return units(s, 60, 'min', 's');
  if (s < 86400) return units(Math.floor(s / 60), 60, 'h', 'min');
  return units(Math.floor(s / 3600), 24, 'd', 'h');
}

function units(n, per, large, small) {
  const whole = `${Math.floor(n / per)} ${large}`;
  return n % per === 0 ? whole : `${whole} ${n % per} ${small}`;
}

const from = new WeakMap(); // when each was seen first; device.js puts new ones in

setInterval(() => {
  const now = Date.now(); // not performance.now(): it may stand still while the computer sleeps
  for (const e of document.querySelectorAll('[data-seconds]')) {
    if (!from.has(e)) from.set(e, now);
    e.textContent = spell(Number(e.dataset.seconds) - Math.floor((now - from.get(e)) / 1000));
  }
}, 1000);
