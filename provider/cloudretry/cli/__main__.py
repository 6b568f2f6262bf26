from cloudretry.cli import main

main()
