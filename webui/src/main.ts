// What every view needs is asked for at once, while the browser still reads the libraries, and the colours are set.

import './styles';
import { about, askEarly, FIRST_JOBS } from './api';

const chosen = localStorage.getItem('mantine-color-scheme-value');
const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
document.documentElement.dataset.mantineColorScheme = chosen === 'dark' || chosen === 'light' ? chosen : system;

if (about.only !== 'api') {
  askEarly('whoami');
  askEarly(FIRST_JOBS);
}
void import('./page');
