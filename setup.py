"""Packaging of glid_mm; versions come from ``requirements/``."""
import re
import shutil
from pathlib import Path
from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent

# Beside the code, where mmengine and mim look for them. In a checkout these
# are links; a wheel and an sdist have copies.
MIM = [
    '.mim/model-index.yml', '.mim/configs/**/*.py', '.mim/tools/**/*.py',
    '.mim/tools/*.sh'
]
# What is for a checkout alone.
NOT_INSTALLED = [
    f'.mim/tools/{name}.py' for name in ('demo', 'fuzz', 'mutations')
]


class BuildAnew(build_py):
    """Leaves nothing in a package that an earlier build has put there."""

    def run(self):
        if not (ROOT / 'glid_mm' / '.mim' / 'configs').is_dir():
            raise SystemExit(
                'glid_mm/.mim/configs is no link to configs: git has made a '
                'file of it. Run `git config core.symlinks true` and '
                '`git checkout -- glid_mm/.mim` (on Windows, in its developer '
                'mode)')
        shutil.rmtree(Path(self.build_lib, 'glid_mm'), ignore_errors=True)
        super().run()


def read_version() -> str:
    """Read ``__version__`` without importing the package."""
    text = (ROOT / 'glid_mm' / '__init__.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '(.+)'$", text, re.MULTILINE)[1]


def read_requirements(name: str) -> list:
    """Read the requirements in ``requirements/<name>.txt``."""
    path = ROOT / 'requirements' / f'{name}.txt'
    lines = path.read_text(encoding='utf-8').splitlines()
    lines = [line.split('#')[0].strip() for line in lines]
    return [line for line in lines if line]


setup(
    name='glid_mm',
    version=read_version(),
    description='GLID: one pre-trained encoder-decoder for every dense '
    'vision task, for the OpenMMLab libraries',
    license='Apache-2.0',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    packages=find_packages(include=['glid_mm', 'glid_mm.*']),
    package_data={'glid_mm': ['weights/*', *MIM]},
    exclude_package_data={'glid_mm': NOT_INSTALLED},
    cmdclass={'build_py': BuildAnew},
    entry_points={'console_scripts': ['glid = glid_mm.cli:main']},
    python_requires='>=3.10',
    install_requires=read_requirements('runtime'),
    extras_require={
        name: read_requirements(name)
        for name in ('all', 'app', 'optional', 'tests', 'lint')
    },
    zip_safe=False)
