'use strict';
// Maps: shows the tooltip of the point that is pointed at, tapped, or chosen with the arrow keys below the map.
for (const figure of document.querySelectorAll('figure.map')) {
  const svg = figure.querySelector('svg');
  const output = figure.querySelector('output');
  const points = [...svg.querySelectorAll('.hinted')];
  let chosen = -1;
  const choose = (index) => {
    if (index < 0) return;
    if (chosen >= 0) points[chosen].classList.remove('chosen');
    chosen = index;
    points[chosen].classList.add('chosen');
    output.textContent = points[chosen].querySelector('title').textContent;
  };
  const pointed = (event) => {
    const point = event.target.closest('.hinted');
    if (point) choose(points.indexOf(point));
  };
  svg.addEventListener('pointerover', pointed);
  svg.addEventListener('click', pointed);
  if (points.length === 0) continue;
  output.textContent = 'Point at a mark, or use the arrow keys to go through them.';
  svg.tabIndex = 0;
  svg.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose((chosen + step + points.length) % points.length);
  });
}
// Only one clip plays at a time.
const sounds = [...document.querySelectorAll('audio')];
for (const sound of sounds) {
  sound.addEventListener('play', () => sounds.forEach((other) => other !== sound && other.pause()));
}
