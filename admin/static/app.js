// Nothing here is needed to read or to act: pages are whole without script. It keeps them current and quick to use.
import { follow } from "./refresh.js";
import { keys } from "./keys.js";
import { tables } from "./table.js";
import { charts, clocks } from "./chart.js";

const theme = document.querySelector("#theme");
theme.hidden = false;
const choice = theme.querySelector("select");
choice.value = document.documentElement.dataset.theme ?? "";
choice.addEventListener("change", () => {
  if (choice.value) document.documentElement.dataset.theme = choice.value;
  else delete document.documentElement.dataset.theme;
  try {
    localStorage.setItem("nsqadmin.theme", choice.value);
  } catch {
    // It holds for this page then.
  }
});

const main = document.querySelector("#main");
clocks(main);
tables(main);
charts(main);
keys(main);
follow(main);
if (document.querySelector("#odometer")) import("./counter.js").then((module) => module.count(main));
