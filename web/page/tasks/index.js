// The tasks of the page, in the order of their buttons; the first is shown where no link says otherwise. A task is
//   name, title  in links and as its section's id; on its button
//   markup       its section, hidden at first
//   View         fills the section: `new View(section, app)`, `refresh()` after any change of the state, and, where it
//                runs something, `start()`
// and where it has a state of its own or runs something
//   keys         the keys that are its own (state/keys.js)
//   link(state)  the keys that a link to it has, in order
//   isAlone      whether it needs no engine: its link is read at once
//   purposes     what it needs samplers for, by name (state/purposes.js); `purpose(state)` is the name of the one in use

import { about } from './about.js';
import { edit } from './edit.js';
import { generate } from './generate.js';
import { interpolate } from './interpolate.js';
import { lab } from './lab.js';
import { play } from './play.js';
import { word } from './word.js';

export const TASKS = [generate, edit, interpolate, play, word, lab, about];
