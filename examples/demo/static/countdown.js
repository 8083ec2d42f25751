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

const counting = document.querySelectorAll('[data-seconds]');
const loaded = Date.now(); // not performance.now(): it may stand still while the computer sleeps

setInterval(() => {
  const passed = Math.floor((Date.now() - loaded) / 1000);
  for (const e of counting) e.textContent = spell(Number(e.dataset.seconds) - passed);
}, 1000);
