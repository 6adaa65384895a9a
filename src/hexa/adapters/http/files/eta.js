// Counts down between two loads of the page, which loads itself again (meta refresh).
"use strict";
const left = document.getElementById("left");
const seconds = left === null ? NaN : Number.parseInt(left.dataset.seconds, 10);
if (left !== null && seconds > 0) {
  left.setAttribute("aria-live", "off"); // a number each second is no news for who listens
  const end = performance.now() + seconds * 1000;
  const tick = () => {
    const rest = Math.max(Math.ceil((end - performance.now()) / 1000), 0);
    const minutes = Math.floor(rest / 60);
    left.textContent = rest === 0 ? "any moment now" : minutes > 0
      ? `about ${minutes} min ${String(rest % 60).padStart(2, "0")} s`
      : `about ${rest} s`;
  };
  tick();
  setInterval(tick, 1000);
}
