// The odometer climbs at the last known rate, and never beyond what is true.

export function count(main) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const known = () => document.querySelector("#odometer");
  let total = Number(known().dataset.total);
  let rate = Number(known().dataset.rate);
  // It starts one interval behind, so that it has somewhere to climb to.
  let shown = Math.max(0, total - (rate * Number(main.dataset.intervalMs)) / 1_000);
  let before = performance.now();
  document.addEventListener("nsqadmin:tick", () => {
    const next = Number(known().dataset.total);
    rate = Math.max(Number(known().dataset.rate), ((next - shown) * 1_000) / Math.max(1_000, Number(main.dataset.intervalMs)));
    total = Math.max(total, next);
  });
  const step = (now) => {
    shown = Math.min(total, shown + (rate * (now - before)) / 1_000);
    before = now;
    const text = Math.floor(shown).toLocaleString("en-US");
    const element = known();
    if (element.textContent !== text) element.textContent = text;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
