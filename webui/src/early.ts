// What every view needs is asked for before the page is made, while the browser still reads the libraries.

import { about, askEarly, FIRST_JOBS } from './api';

if (about.only !== 'api') {
  askEarly('whoami');
  askEarly(FIRST_JOBS);
}
