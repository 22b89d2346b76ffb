// The door's own screen: one sign and one sentence.
"use strict";
const words = JSON.parse(document.getElementById("words").textContent);
const text = document.getElementById("text");
let sounds = null;

function beep(...notes) {
  try {
    sounds ??= new AudioContext();
    notes.forEach((pitch, place) => {
      const note = sounds.createOscillator();
      const volume = sounds.createGain();
      note.frequency.value = pitch;
      volume.gain.value = 0.08;
      note.connect(volume).connect(sounds.destination);
      note.start(sounds.currentTime + place * 0.14);
      note.stop(sounds.currentTime + place * 0.14 + 0.12);
    });
  } catch { /* a screen without sound */ }
}

const SAID = {
  idle: () => words.say.come,
  looking: () => words.say.wait,
  hint: (sign) => words.unfit[sign.what],
  challenge: (sign) => words.challenges[sign.what],
  welcome: (sign) => (sign.name ? `${words.say.welcome}, ${sign.name}` : words.say.welcome),
  open: () => words.say.welcome,
  refused: () => words.say.not_admitted,
  unknown: () => words.say.not_admitted,
  closed: () => words.say.closed,
  fault: () => words.say.out_of_order,
  blind: () => words.say.blind,
  down: () => words.say.down,
};
const NOTES = { welcome: [660, 880], open: [660, 880], refused: [330, 262], challenge: [520] };

function show(sign) {
  document.body.dataset.sign = sign.sign === "challenge" ? sign.what : sign.sign;
  text.textContent = SAID[sign.sign](sign);
  if (NOTES[sign.sign]) beep(...NOTES[sign.sign]);
}

const source = new EventSource("/kiosk/signs");
source.onmessage = (message) => show(JSON.parse(message.data));
source.onerror = () => show({ sign: "down" });
